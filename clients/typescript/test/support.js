// A browser's part, and the addresses of what is tested against.

import { randomUUID } from "node:crypto";

import { createClient } from "gatelodge-client";

export const PASSWORD = "correct horse battery staple";
export const WRONG = "not the password at all";
export const ADMIN = "root@example.com";

/** The program. */
export const SERVICE = given("GATELODGE_URL");

export function given(name) {
  const value = process.env[name];
  if (!value) {
    throw new Error(`${name} is not set: cargo test --test browser -- client`);
  }
  return value;
}

/** Has the ledger of the fragile one answer, or not. */
export async function allowLedger(allowed) {
  const answer = await fetch(`${given("GATELODGE_LEDGER_URL")}/${allowed}`, { method: "POST" });
  if (!answer.ok) {
    throw new Error(await answer.text());
  }
}

/** A client that keeps cookies as a browser would, and notes what it has asked. */
export function browser(options = {}) {
  const { baseUrl = SERVICE, ...others } = options;
  const [cookies, asked] = [new Map(), []];
  const fetchWithCookies = async (address, init) => {
    asked.push(`${init.method} ${new URL(address).pathname}`);
    const headers = new Headers(init.headers);
    headers.set("Cookie", [...cookies].map((cookie) => cookie.join("=")).join("; "));
    const answer = await fetch(address, { ...init, headers });
    for (const cookie of answer.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie);
      value === "" ? cookies.delete(name) : cookies.set(name, value);
    }
    return answer;
  };
  const gatelodge = createClient({ baseUrl, fetch: fetchWithCookies, ...others });
  return { gatelodge, asked, fetch: fetchWithCookies };
}

export const someone = () => `${randomUUID()}@example.com`;

/** The browser of somebody who has just registered. */
export async function registered(options) {
  const email = someone();
  const ada = browser(options);
  const { user } = await ada.gatelodge.register({ email, name: "Ada", password: PASSWORD });
  ada.asked.length = 0;
  return { ...ada, email, user };
}

/** Another browser of theirs. */
export async function loggedIn(email, options) {
  const another = browser(options);
  await another.gatelodge.login({ email, password: PASSWORD });
  another.asked.length = 0;
  return another;
}
