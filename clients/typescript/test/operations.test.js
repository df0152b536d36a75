import assert from "node:assert/strict";
import { createHmac, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { ADMIN, browser, given, loggedIn, PASSWORD, registered, someone } from "./support.js";

const OTHER_PASSWORD = "a longer horse battery staple";
const isProblem = (status, code) => (problem) => problem.status === status && problem.code === code;

/** What the description has for apps: not for proxies, and not for load balancers. */
function described() {
  const { paths } = JSON.parse(readFileSync("../../docs/openapi.json", "utf8"));
  const apps = ["account", "users", "sessions", "events"];
  return Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item)
      .filter(([, { tags }]) => tags.some((tag) => apps.includes(tag)))
      .map(([method]) => `${method.toUpperCase()} ${path}`),
  );
}

/** The system whose JWTs the usual one takes. */
const FOREIGN = {
  issuer: given("GATELODGE_EXCHANGE__ISSUER"),
  audience: given("GATELODGE_EXCHANGE__AUDIENCE"),
  secret: given("GATELODGE_EXCHANGE__SECRET"),
};

/** A JWT of the system that is left, whose secret the service knows. */
function foreignJwt(email) {
  const exp = Math.floor(Date.now() / 1000) + 600;
  const claims = { iss: FOREIGN.issuer, aud: FOREIGN.audience, jti: randomUUID(), exp, email };
  const parts = [{ alg: "HS256", typ: "JWT" }, claims].map((part) => JSON.stringify(part));
  const message = parts.map((part) => Buffer.from(part).toString("base64url")).join(".");
  const signature = createHmac("sha256", FOREIGN.secret).update(message).digest("base64url");
  return `${message}.${signature}`;
}

/** Which operation a request was. */
const operationOf = (request) =>
  request
    .replace(/\/addresses\/[^/]+/, "/addresses/{ip}")
    .replace(/\/[0-9a-f]{8}-[0-9a-f-]{27}/, "/{id}");

test("every operation of the description has its call", async () => {
  const email = someone();
  const { gatelodge, asked } = browser();
  const everything = [asked];

  assert.equal(await gatelodge.whoami(), null);
  const registration = { email, name: "Ada", password: PASSWORD };
  const { user } = await gatelodge.register(registration, { wait: "effective" });
  assert.equal(user.email, email);
  assert.equal(await gatelodge.logout(), undefined);
  assert.equal(await gatelodge.whoami(), null);
  const { session } = await gatelodge.login({ email, password: PASSWORD, remember_me: true });
  assert.ok(session.remember_me && session.current);
  assert.equal((await gatelodge.whoami()).session.id, session.id);

  const phone = await loggedIn(email);
  const { sessions } = await gatelodge.sessions.list();
  assert.deepEqual(sessions.map(({ current }) => current), [false, true]);
  assert.equal(await gatelodge.sessions.end(sessions[0].id, { wait: "effective" }), undefined);
  assert.equal(await phone.gatelodge.whoami(), null);
  await loggedIn(email);
  assert.deepEqual(await gatelodge.sessions.endOthers(), { revoked: 1 });

  const changed = await gatelodge.account.update({ name: "Ada Lovelace" });
  assert.equal(changed.user.name, "Ada Lovelace");
  const change = { current_password: PASSWORD, new_password: OTHER_PASSWORD };
  assert.equal(await gatelodge.changePassword(change), undefined);
  const { session: renewed } = await gatelodge.whoami();
  assert.notEqual(renewed.id, session.id);
  assert.deepEqual(await gatelodge.sessions.endAll(), { revoked: 1 });
  await assert.rejects(gatelodge.sessions.list(), isProblem(401, "unauthenticated"));

  const visitor = browser();
  everything.push(visitor.asked);
  const jwt = foreignJwt(email);
  const { session: exchanged } = await visitor.gatelodge.exchange({ jwt, remember_me: true });
  assert.ok(exchanged.remember_me && exchanged.current);
  assert.equal((await visitor.gatelodge.whoami()).user.email, email);
  await assert.rejects(visitor.gatelodge.exchange({ jwt }), isProblem(401, "invalid_token"));
  assert.equal(visitor.gatelodge.who.get().state, "logged_in");

  const { gatelodge: root, asked: askedByRoot } = await loggedIn(ADMIN);
  everything.push(askedByRoot);
  const { admin } = root;
  const found = await admin.users.list({ search: email, limit: 1 });
  assert.deepEqual([found.users[0].id, found.next_cursor], [user.id, null]);
  const invited = await admin.users.create({ email: someone(), name: "Grace" });
  const { user: grace, password_link } = invited;
  const token = new URL(password_link).searchParams.get("token");
  const holder = browser();
  everything.push(holder.asked);
  await holder.gatelodge.redeemPassword({ token, new_password: PASSWORD });
  assert.ok((await admin.users.passwordLink(grace.id)).expires_at);
  assert.equal((await admin.users.setRole(grace.id, "admin")).user.role, "admin");
  assert.equal((await admin.users.lock(grace.id, { wait: "effective" })).user.status, "locked");
  assert.equal((await admin.users.unlock(grace.id)).user.status, "active");
  assert.equal((await admin.users.get(grace.id)).user.name, "Grace");
  assert.deepEqual(await admin.users.attempts(grace.id), { failures: 0, blocked_until: null });
  await admin.users.clearAttempts(grace.id);
  assert.equal((await admin.addresses.attempts("2001:db8::1")).failures, 0);
  await admin.addresses.clearAttempts("2001:db8::1");

  await loggedIn(grace.email);
  const graces = (await admin.users.sessions(grace.id)).sessions;
  assert.equal((await admin.sessions.get(graces[0].id)).session.user_id, grace.id);
  await admin.sessions.end(graces[0].id);
  await assert.rejects(admin.sessions.end(graces[0].id), isProblem(404, "not_found"));
  await loggedIn(grace.email);
  const filter = { user_id: grace.id, issued_after: "2020-01-01T00:00:00+01:00" };
  assert.equal((await admin.sessions.list(filter)).sessions.length, 1);
  const counted = await admin.sessions.endMatching({ filter, dry_run: true });
  assert.deepEqual(counted, { matched: 1, revoked: 0, effective_at: null });
  assert.deepEqual(await admin.users.endSessions(grace.id), { revoked: 1 });
  const { events } = await admin.events.list({ subject: grace.id, action: "user_locked" });
  assert.deepEqual(events.map(({ outcome }) => outcome), ["success"]);
  assert.equal(await admin.users.delete(grace.id), undefined);

  await gatelodge.login({ email, password: OTHER_PASSWORD });
  await gatelodge.account.delete(OTHER_PASSWORD);
  assert.equal(await gatelodge.whoami(), null);

  const operations = new Set(everything.flat().map(operationOf));
  assert.deepEqual([...operations].sort(), described().sort());
});

test("a mistake is told by its field", async () => {
  const { gatelodge } = browser();
  const registration = { email: "nonsense", name: "Ada", password: "short" };
  const problem = await gatelodge.register(registration).catch((problem) => problem);
  assert.equal(problem.name, "GatelodgeProblem");
  assert.ok(problem instanceof Error);
  assert.deepEqual([problem.status, problem.code], [422, "invalid_input"]);
  assert.deepEqual(problem.errors.map(({ field }) => field).sort(), ["email", "password"]);
  assert.match(problem.errorOf("password"), /15/);
  assert.equal(problem.errorOf("name"), undefined);
  assert.equal(problem.message, problem.detail);
});

test("what is for administrators is forbidden to others, and logs nobody out", async () => {
  const { gatelodge } = await registered();
  await assert.rejects(gatelodge.admin.users.list(), isProblem(403, "forbidden"));
  assert.equal(gatelodge.who.get().state, "logged_in");
});

test("an id stays in its place, whatever it is", async () => {
  const { gatelodge, asked } = await registered();
  const { sessions } = gatelodge;
  await assert.rejects(sessions.end("../account?x=1"), isProblem(404, "not_found"));
  assert.deepEqual(asked, ["DELETE /api/sessions/..%2Faccount%3Fx%3D1"]);
});
