// What is asked to come back later, and what does not come from the service.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";

import {
  allowLedger,
  browser,
  given,
  loggedIn,
  PASSWORD,
  registered,
  SERVICE,
  someone,
  WRONG,
} from "./support.js";

/** A service whose ledger can be taken away. */
const FRAGILE = given("GATELODGE_FRAGILE_URL");
const WINDOW = 15 * 60;
/** Who waits for too long has failed. */
const LIMITED = { timeout: 90_000 };

test("after ten wrong passwords none is tried, and the client says for how long", async () => {
  const { email } = await registered();
  const { gatelodge, asked } = browser();
  const attempt = (password) => gatelodge.login({ email, password }).catch((problem) => problem);
  for (let wrong = 0; wrong < 10; wrong += 1) {
    assert.equal((await attempt(WRONG)).code, "invalid_credentials");
  }
  asked.length = 0;
  const { code, status, retryAfter } = await attempt(PASSWORD);
  assert.deepEqual([code, status], ["too_many_attempts", 429]);
  assert.ok(retryAfter > WINDOW - 60 && retryAfter <= WINDOW, `${retryAfter}`);
  assert.deepEqual(asked, ["POST /api/login"], "a password is never tried again by itself");
});

test("an outage logs nobody out, and is waited for as long as it may take", LIMITED, async () => {
  const patient = await registered({ baseUrl: FRAGILE, patience: 30_000 });
  const { email } = patient;
  const told = [];
  const onUnauthenticated = () => told.push("unauthenticated");
  const hasty = await loggedIn(email, { baseUrl: FRAGILE, patience: 0, onUnauthenticated });
  const stranger = browser({ baseUrl: FRAGILE });
  await allowLedger(false);
  try {
    // What is in the cache is good until the lease is over.
    const problem = await new Promise((resolve) => {
      const ask = () => hasty.gatelodge.whoami().then(ask, resolve);
      ask();
    });
    assert.deepEqual([problem.code, problem.status, problem.retryAfter], ["unavailable", 503, 2]);
    assert.equal(hasty.gatelodge.who.get().state, "logged_in");
    await assert.rejects(hasty.gatelodge.sessions.list(), { code: "unavailable" });
    assert.deepEqual(told, []);

    await assert.rejects(
      stranger.gatelodge.login({ email, password: PASSWORD }),
      { code: "unavailable" },
    );
    assert.deepEqual(stranger.asked, ["POST /api/login"]);
    assert.deepEqual(stranger.gatelodge.who.get(), { state: "unknown" });

    const abort = new AbortController();
    const waiting = patient.gatelodge.sessions.list({ signal: abort.signal });
    setTimeout(() => abort.abort(), 300);
    await assert.rejects(waiting, { name: "AbortError" });
    assert.deepEqual(patient.asked, ["GET /api/sessions"]);
    patient.asked.length = 0;

    const recovering = patient.gatelodge.whoami();
    while (patient.asked.length < 2) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await allowLedger(true);
    assert.equal((await recovering).user.email, email);
  } finally {
    await allowLedger(true);
  }
});

/** A proxy before the service that gives the answers of a script first. */
async function behindProxy(context, script, options) {
  const proxy = createServer(async (request, response) => {
    request.resume();
    const next = script.shift();
    if (next) {
      next(response);
      return;
    }
    const { method, url, headers } = request;
    const { cookie = "" } = headers;
    const answer = await fetch(SERVICE + url, { method, headers: { cookie } });
    response.writeHead(answer.status, [...answer.headers].flat());
    response.end(Buffer.from(await answer.arrayBuffer()));
  });
  await new Promise((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  context.after(() => proxy.close());
  return browser({ baseUrl: `http://127.0.0.1:${proxy.address().port}/`, ...options });
}

const html = (status, headers = {}) => (response) => {
  response.writeHead(status, { "Content-Type": "text/html", ...headers });
  response.end("<h1>A page");
};

test("a page of a proxy is a problem of its own kind, whatever its status", async (context) => {
  for (const status of [200, 401, 404, 502]) {
    const { gatelodge, asked } = await behindProxy(context, [html(status)]);
    await assert.rejects(gatelodge.whoami(), { code: "foreign_answer", status });
    assert.equal(asked.length, 1);
    assert.equal(gatelodge.who.get().state, "unknown");
  }
  const broken = (response) => {
    response.writeHead(200, { "Content-Type": "application/json" });
    response.end('{"user":');
  };
  const { gatelodge } = await behindProxy(context, [broken]);
  await assert.rejects(gatelodge.whoami(), { code: "foreign_answer", status: 200 });
});

test("nobody at the address is a problem, with its cause", async (context) => {
  const cut = (response) => response.destroy();
  const { gatelodge } = await behindProxy(context, [cut]);
  const problem = await gatelodge.whoami().catch((problem) => problem);
  assert.deepEqual([problem.code, problem.status], ["unreachable", 0]);
  assert.ok(problem.cause instanceof TypeError);
});

test("a date to come back at is kept", async (context) => {
  const date = new Date(Date.now() + 2000).toUTCString();
  const limited = html(429, { "Retry-After": date });
  const { gatelodge, asked } = await behindProxy(context, [limited]);
  assert.equal(await gatelodge.whoami(), null);
  assert.ok(Date.now() >= Date.parse(date));
  assert.equal(asked.length, 2);
});

test("what cannot be done twice is sent once, and nothing is waited for too long", LIMITED, async (
  context,
) => {
  const away = html(503, { "Retry-After": "0" });
  for (const [call, repeats] of [
    [({ whoami }) => whoami(), true],
    [({ sessions }) => sessions.end("x"), true],
    [({ admin }) => admin.users.setRole("x", "user"), true],
    [({ login }) => login({ email: someone(), password: PASSWORD }), false],
    [({ register }) => register({ email: someone(), name: "Ada", password: PASSWORD }), false],
    [({ logout }) => logout(), false],
    [({ account }) => account.update({ name: "Ada" }), false],
    [({ account }) => account.delete(PASSWORD), false],
    [({ admin }) => admin.users.lock("x"), false],
  ]) {
    const { gatelodge, asked } = await behindProxy(context, Array(9).fill(away));
    await assert.rejects(call(gatelodge), { code: "foreign_answer", status: 503, retryAfter: 0 });
    assert.equal(asked.length, repeats ? 5 : 1, asked[0]);
  }
  const tomorrow = html(503, { "Retry-After": "86400" });
  const { gatelodge, asked } = await behindProxy(context, [tomorrow]);
  await assert.rejects(gatelodge.whoami(), { status: 503, retryAfter: 86400 });
  assert.equal(asked.length, 1);
});

test("what a repeated call does not find has been ended by the first", async (context) => {
  const away = html(503, { "Retry-After": "0" });
  const { gatelodge } = await behindProxy(context, [away, html(404)]);
  assert.equal(await gatelodge.sessions.end("x"), undefined);
});

test("a call can be given up before and while it is sent", async (context) => {
  const silent = () => {};
  const { gatelodge } = await behindProxy(context, [silent]);
  await assert.rejects(gatelodge.whoami({ signal: AbortSignal.abort() }), { name: "AbortError" });
  const signal = AbortSignal.timeout(50);
  await assert.rejects(gatelodge.whoami({ signal }), { name: "TimeoutError" });
  assert.equal(gatelodge.who.get().state, "unknown");
});
