// Is never run: what the types let pass, and what they do not.

import { createClient, type Identity, type Pending, type User } from "gatelodge-client";

const gatelodge = createClient({ baseUrl: "https://auth.example.com", onUnauthenticated: "redirect" });

const same = <T>(_value: T): void => {};

export async function answers(signal: AbortSignal) {
  same<Identity | null>(await gatelodge.whoami({ signal }));
  const { user, session, pending } = await gatelodge.login(
    { email: "ada@example.com", password: "…", remember_me: true },
    { wait: "effective", signal },
  );
  same<User>(user);
  same<"user" | "admin">(user.role);
  same<string | null>(session.device);
  same<number | undefined>(pending);
  same<Pending | undefined>(await gatelodge.logout({ wait: "effective" }));

  const { events } = await gatelodge.admin.events.list({ action: "role_changed", limit: 10 });
  same<("success" | "failure")[]>(events.map(({ outcome }) => outcome));
  const page = await gatelodge.admin.sessions.list({ ip: "203.0.113.0/24" });
  same<string | null>(page.next_cursor);
  await gatelodge.admin.sessions.endMatching({ filter: { everyone: true } });
  await gatelodge.admin.sessions.endMatching({ filter: { user_id: user.id }, dry_run: true });
  await gatelodge.account.update({ name: "Ada" });
  await gatelodge.account.update({ email: "ada@example.org", password: "…" });
}

export async function mistakes() {
  // @ts-expect-error: null is an answer
  (await gatelodge.whoami()).user;
  // @ts-expect-error: not known is not logged out
  gatelodge.who.get().user;
  // @ts-expect-error: a password is missing
  await gatelodge.login({ email: "ada@example.com" });
  // @ts-expect-error: no such field
  await gatelodge.login({ email: "ada@example.com", password: "…", rememberMe: true });
  // @ts-expect-error: an address takes the password
  await gatelodge.account.update({ email: "ada@example.org" });
  // @ts-expect-error: no such role
  await gatelodge.admin.users.setRole("…", "owner");
  // @ts-expect-error: no such action
  await gatelodge.admin.events.list({ action: "flew" });
  // @ts-expect-error: listing ends nothing
  await gatelodge.sessions.list({ wait: "effective" });
}
