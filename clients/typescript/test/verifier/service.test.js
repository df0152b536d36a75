// Against the service itself.

import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { test } from "node:test";

import { createVerifier } from "gatelodge-client/verifier";

import { ADMIN, given, loggedIn, PASSWORD, registered, SERVICE } from "../support.js";
import { reasonOf, until } from "./issuer.js";

const CREDENTIAL = given("GATELODGE_CREDENTIAL");
const ISSUER = given("GATELODGE_ISSUER");

async function verifierFor(context, options = {}) {
  const verifier = createVerifier({
    issuer: ISSUER,
    audience: "notes",
    baseUrl: SERVICE,
    credential: CREDENTIAL,
    ...options,
  });
  context.after(() => verifier.close());
  await verifier.ready();
  return verifier;
}

/** A JWT of whoever's browser that is. */
async function minted({ fetch }, template = "notes") {
  const address = `${SERVICE}/api/sessions/whoami?tokenize_as=${template}`;
  return (await (await fetch(address, { method: "GET" })).json()).tokenized;
}

test("a JWT of the service is accepted, of each algorithm that is wanted", async (context) => {
  const verifier = await verifierFor(context);
  const ada = await registered();
  const { session } = await ada.gatelodge.whoami();
  const { claims, current } = await verifier.verify(await minted(ada));
  const { iss, sub, sid, aud, roles, exp, iat } = claims;
  assert.deepEqual(
    { iss, sub, sid, aud, roles },
    {
      iss: ISSUER,
      sub: ada.user.id,
      sid: session.id,
      aud: "notes",
      roles: ["user"],
    },
  );
  assert.equal(exp - iat, 300);
  assert.ok(current);
  assert.equal(await reasonOf(verifier, await minted(ada, "others")), "wrong_audience");

  const algorithms = ["ES256", "RS256"];
  const other = await verifierFor(context, { audience: "others", algorithms });
  for (const algorithm of algorithms) {
    const jwt = await minted(ada, algorithm.toLowerCase());
    assert.equal((await other.verify(jwt)).claims.email, ada.email);
    assert.equal(await reasonOf(verifier, jwt), "wrong_algorithm");
  }
});

test("within a second of its end it is refused, and whoever listens is told", async (context) => {
  const verifier = await verifierFor(context);
  const root = await loggedIn(ADMIN);
  const { users, sessions } = root.gatelodge.admin;
  const kept = await registered();
  const untouched = await minted(kept);
  for (const [end, reason] of [
    [({ gatelodge }) => gatelodge.logout(), "session_ended"],
    [
      async ({ email, session }) => (await loggedIn(email)).gatelodge.sessions.end(session.id),
      "session_ended",
    ],
    [async ({ email }) => (await loggedIn(email)).gatelodge.sessions.endOthers(), "user_ended"],
    [({ gatelodge }) => gatelodge.sessions.endAll(), "user_ended"],
    [({ session }) => sessions.end(session.id), "session_ended"],
    [({ user }) => users.endSessions(user.id), "user_ended"],
    [({ user }) => users.lock(user.id), "user_ended"],
    [({ user }) => users.delete(user.id), "user_ended"],
    [({ gatelodge }) => gatelodge.account.delete(PASSWORD), "user_ended"],
    [({ gatelodge }) => gatelodge.account.update({ name: "Eve" }), "user_changed"],
    [({ user }) => users.setRole(user.id, "admin"), "user_changed"],
    [() => sessions.endMatching({ filter: { everyone: true } }), "everyone_ended"],
  ]) {
    const ada = await registered();
    const { session } = await ada.gatelodge.whoami();
    const jwt = await minted(ada);
    const { claims, current } = await verifier.verify(jwt);
    assert.ok(current);
    const told = [];
    verifier.onEnded(claims, (ending) => told.push(ending));
    await end({ ...ada, session });
    const answered = performance.now();
    await until(async () => await reasonOf(verifier, jwt), 1000);
    context.diagnostic(`${reason} after ${Math.round(performance.now() - answered)} ms`);
    assert.equal(await reasonOf(verifier, jwt), reason);
    assert.deepEqual(told, [reason]);
    if (reason !== "everyone_ended") {
      assert.equal(await reasonOf(verifier, untouched), undefined, `${reason} of somebody else`);
    }
  }
  assert.equal(await reasonOf(verifier, untouched), "everyone_ended");
  assert.equal(await minted(kept), undefined, "and there is no other");
});

test("the session that is spared goes on", async (context) => {
  const verifier = await verifierFor(context);
  const ada = await registered();
  const phone = await loggedIn(ada.email);
  const [spared, ended] = [await minted(ada), await minted(phone)];
  await ada.gatelodge.sessions.endOthers();
  await until(async () => await reasonOf(verifier, ended), 1000);
  assert.equal(await reasonOf(verifier, ended), "user_ended");
  assert.equal((await verifier.verify(spared)).current, true);
  assert.equal(await reasonOf(verifier, await minted(ada)), undefined);
});

/** What stands between, and can be cut through. */
async function wire(context) {
  const [{ hostname, port }, sockets] = [new URL(SERVICE), new Set()];
  let isCut = false;
  const server = createServer((near) => {
    if (isCut) {
      near.destroy();
      return;
    }
    const far = connect(port, hostname);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ]) {
      sockets.add(one);
      one.on("error", () => other.destroy());
      one.on("close", () => sockets.delete(one));
      one.pipe(other);
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const cut = () => {
    isCut = true;
    sockets.forEach((socket) => socket.destroy());
  };
  context.after(() => {
    cut();
    server.close();
  });
  return { url: `http://127.0.0.1:${server.address().port}`, cut, mend: () => (isCut = false) };
}

test("who is cut off goes by the lifetime, and hears afterwards what was missed", async (context) => {
  const { url, cut, mend } = await wire(context);
  const verifier = await verifierFor(context, { baseUrl: url });
  const [ada, eve] = [await registered(), await registered()];
  const [kept, missed] = [await minted(ada), await minted(eve)];
  await verifier.verify(missed);
  cut();
  const since = performance.now();
  await eve.gatelodge.logout();
  await until(async () => !(await verifier.verify(kept)).current);
  const elapsed = performance.now() - since;
  assert.ok(elapsed < 10_000, `${elapsed}`);
  assert.equal((await verifier.verify(missed)).current, false);
  mend();
  await until(async () => (await verifier.verify(kept)).current);
  assert.equal(await reasonOf(verifier, missed), "session_ended");
});

test("a credential that the service does not know opens nothing", async (context) => {
  const other = verifierFor(context, { credential: "0".repeat(64) });
  await assert.rejects(other, { status: 401, code: "unknown_service" });
});
