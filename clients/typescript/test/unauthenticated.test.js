import assert from "node:assert/strict";
import { test } from "node:test";

import { browser, loggedIn, PASSWORD, registered, SERVICE, WRONG } from "./support.js";

/** Somebody whose session has been ended from elsewhere, and what their app was told. */
async function ended(options = {}) {
  const told = [];
  const onUnauthenticated = (problem) => told.push(problem.code);
  const laptop = await registered({ onUnauthenticated, ...options });
  const phone = await loggedIn(laptop.email);
  await phone.gatelodge.sessions.endOthers();
  return { ...laptop, told };
}

test("calls at the same time tell once that the session has ended", async () => {
  const { gatelodge, told } = await ended();
  const { list, endOthers } = gatelodge.sessions;
  const events = gatelodge.admin.events.list();
  const calls = await Promise.allSettled([list(), list(), endOthers(), events]);
  assert.deepEqual(calls.map(({ reason }) => reason.code), Array(4).fill("unauthenticated"));
  assert.deepEqual(told, ["unauthenticated"]);
  assert.deepEqual(gatelodge.who.get(), { state: "logged_out" });
});

test("to ask who is logged in, or to try a password, finds no session ended", async () => {
  const { gatelodge, told, email } = await ended();
  assert.equal(await gatelodge.whoami(), null);
  const wrong = gatelodge.login({ email, password: WRONG });
  await assert.rejects(wrong, { code: "invalid_credentials" });
  await gatelodge.logout();
  assert.deepEqual(told, []);
});

test("the end of a session is no news after the next log-in", async () => {
  let release;
  const released = new Promise((resolve) => (release = resolve));
  const late = async (address, init) => {
    const answer = await fetch(address, init);
    if (init.method === "GET") {
      await released;
    }
    return answer;
  };
  const told = [];
  const onUnauthenticated = ({ code }) => told.push(code);
  const { email } = await registered();
  const { gatelodge } = browser({ fetch: late, onUnauthenticated });
  const calls = Promise.allSettled([gatelodge.sessions.list(), gatelodge.whoami()]);
  await gatelodge.login({ email, password: PASSWORD });
  release();
  const [list, whoami] = await calls;
  assert.deepEqual([list.reason.code, whoami.value], ["unauthenticated", null]);
  assert.deepEqual(told, []);
  assert.equal(gatelodge.who.get().state, "logged_in");
});

test("who asked for it is sent to log in, and back", async (context) => {
  const visited = [];
  const href = "https://app.example.com/notes?page=2#last";
  globalThis.location = { href, assign: (address) => visited.push(address) };
  context.after(() => delete globalThis.location);
  const { gatelodge } = await ended({ onUnauthenticated: "redirect" });
  await Promise.allSettled([gatelodge.sessions.list(), gatelodge.sessions.list()]);
  const [address, ...others] = visited;
  assert.deepEqual(others, []);
  assert.equal(address, gatelodge.loginUrl());
  assert.equal(address, `${SERVICE}/login?return_to=${encodeURIComponent(href)}`);
});

/** The next change of who is logged in. */
const change = ({ who }) =>
  new Promise((resolve) => {
    const stop = who.subscribe(() => {
      stop();
      resolve();
    });
  });

test("whoever looks hears who is logged in", async () => {
  const { email } = await registered();
  const { gatelodge } = browser();
  assert.deepEqual(gatelodge.who.get(), { state: "unknown" });
  const heard = [];
  await change(gatelodge);
  const stop = gatelodge.who.subscribe(() => {
    const who = gatelodge.who.get();
    heard.push(who.state === "logged_in" ? who.user.name : who.state);
  });
  assert.deepEqual(gatelodge.who.get(), { state: "logged_out" });
  await gatelodge.login({ email, password: PASSWORD });
  await gatelodge.account.update({ name: "Ada Lovelace" });
  const { session } = gatelodge.who.get();
  await gatelodge.sessions.end(session.id);
  assert.deepEqual(heard, ["Ada", "Ada Lovelace", "logged_out"]);
  stop();
  await gatelodge.login({ email, password: PASSWORD });
  assert.equal(heard.length, 3);

  const before = gatelodge.who.get().session.id;
  const renewed = change(gatelodge);
  const new_password = "a longer horse battery staple";
  await gatelodge.changePassword({ current_password: PASSWORD, new_password });
  await renewed;
  assert.notEqual(gatelodge.who.get().session.id, before);
});
