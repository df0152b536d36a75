// How the feed is followed when it goes wrong.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { describe, test } from "node:test";

import { AUDIENCE, CREDENTIAL, issuerFor, markOf, newKey, now, reasonOf, until } from "./issuer.js";

const isCurrent = async (verifier, jwt) => (await verifier.verify(jwt)).current;

describe("the feed", { concurrency: 8 }, () => {
  test("each kind of entry ends what it is about, and tells whoever listens", async (context) => {
    const issuer = await issuerFor(context);
    const verifier = issuer.verifier();
    await verifier.ready();
    const spare = issuer.claims();
    for (const [entry, reason, spares] of [
      [({ sid }) => ({ kind: "session_ended", session: sid }), "session_ended", true],
      [({ sub }) => ({ kind: "user_ended", user: sub, spared: null }), "user_ended", true],
      [({ sub, sid }) => ({ kind: "user_ended", user: sub, spared: sid }), undefined, true],
      [({ sub }) => ({ kind: "user_ended", user: sub, spared: spare.sid }), "user_ended", true],
      [({ sub }) => ({ kind: "user_changed", user: sub }), "user_changed", true],
      [() => ({ kind: "everyone_ended" }), "everyone_ended", false],
      [() => ({ kind: "flew", session: 7 }), "unknown_entry", false],
    ]) {
      const [claims, other] = [issuer.claims(), issuer.claims()];
      const jwt = issuer.jwt({ claims });
      const told = [];
      for (const { claims: known } of [await verifier.verify(jwt), { claims: other }]) {
        verifier.onEnded(known, (ending) => told.push([known.sid, ending]));
      }
      const stopped = verifier.onEnded(claims, () => told.push("nobody listens"));
      stopped();
      issuer.append(entry(claims));
      issuer.append({ kind: "session_ended", session: newKey().kid });
      const reached = issuer.claims();
      await until(async () => (await reasonOf(verifier, issuer.jwt({ claims }))) === reason);
      assert.equal(
        await reasonOf(verifier, issuer.jwt({ claims: other })),
        spares ? undefined : reason,
      );
      assert.equal(await reasonOf(verifier, issuer.jwt({ claims: reached })), undefined);
      const ended = reason ? [[claims.sid, reason]] : [];
      assert.deepEqual(told, spares ? ended : [...ended, [other.sid, reason]]);
    }
  });

  test("who listens is told of what ended before, and of the JWT's own end", async (context) => {
    const issuer = await issuerFor(context);
    const troubles = [];
    const verifier = issuer.verifier({ onTrouble: (trouble) => troubles.push(trouble.message) });
    await verifier.ready();
    const told = [];
    const claims = issuer.claims();
    issuer.append({ kind: "session_ended", session: claims.sid });
    await until(async () => await reasonOf(verifier, issuer.jwt({ claims })));
    verifier.onEnded(claims, (ending) => told.push(ending));
    const short = issuer.claims({ exp: now() + 1 });
    const stop = verifier.onEnded(short, () => told.push("nobody listens"));
    stop();
    const closed = issuer.verifier();
    closed.onEnded(short, () => told.push("nobody listens"));
    closed.close();
    verifier.onEnded(short, (ending) => {
      told.push(ending);
      throw new Error("of the listener");
    });
    await until(() => told.length === 2);
    assert.deepEqual(told, ["session_ended", "expired"]);
    assert.deepEqual(troubles, ["of the listener"]);
  });

  test("who is cut off says so, goes by the lifetime, and hears what was missed", async (context) => {
    const issuer = await issuerFor(context);
    const verifier = issuer.verifier();
    await verifier.ready();
    const [kept, missed] = [issuer.claims(), issuer.claims()];
    const [jwt, told] = [issuer.jwt({ claims: kept }), []];
    verifier.onEnded(missed, (ending) => told.push(ending));
    await onward(issuer, verifier);

    issuer.behaviour = "hung";
    issuer.cut();
    const cut = Date.now();
    issuer.append({ kind: "session_ended", session: missed.sid });
    await until(async () => !(await isCurrent(verifier, jwt)));
    assert.ok(Date.now() - cut > 2000, `${Date.now() - cut}`);
    assert.equal((await verifier.verify(issuer.jwt({ claims: missed }))).current, false);
    assert.equal(
      await reasonOf(verifier, issuer.jwt({ claims: issuer.claims({ exp: now() - 10 }) })),
      "expired",
    );

    issuer.behaviour = "usual";
    await until(() => isCurrent(verifier, jwt));
    assert.equal(await reasonOf(verifier, issuer.jwt({ claims: missed })), "session_ended");
    assert.deepEqual(told, ["session_ended"]);
    assert.equal(issuer.heard.at(-1).from, `1-${markOf("aa")}`);
    assert.deepEqual(
      [...new Set(issuer.heard.map(({ credential }) => credential))],
      [`Bearer ${CREDENTIAL}`],
    );
  });

  test("an instance that does not vouch for anything is left for another", async (context) => {
    const issuer = await issuerFor(context);
    const verifier = issuer.verifier();
    await verifier.ready();
    issuer.behaviour = "silent";
    const silent = Date.now();
    const asked = issuer.heard.length;
    const comments = setInterval(() => issuer.send(": still here\n\n"), 200);
    context.after(() => clearInterval(comments));
    await until(() => issuer.heard.length > asked);
    assert.ok(Date.now() - silent > 1000, `${Date.now() - silent}`);
  });

  test("a log that was set back is begun anew, and nothing from before is believed", async (context) => {
    const issuer = await issuerFor(context);
    const verifier = issuer.verifier();
    const { sub } = issuer.claims();
    issuer.append({ kind: "user_ended", user: sub, spared: null });
    await verifier.ready();
    const old = issuer.claims({ iat: now() - 3 });
    const told = [];
    verifier.onEnded((await verifier.verify(issuer.jwt({ claims: old }))).claims, (ending) =>
      told.push(ending),
    );
    for (const mark of ["bb", "cc"]) {
      issuer.setBack(mark);
      await until(
        async () => (await reasonOf(verifier, issuer.jwt({ claims: old }))) === "log_set_back",
      );
      await until(() => issuer.connected() === 1);
      const fresh = issuer.jwt({ claims: issuer.claims({ sub, iat: now() + 1 }) });
      await until(() => isCurrent(verifier, fresh));
      await onward(issuer, verifier);
    }
    assert.deepEqual(told, ["log_set_back"]);
    assert.deepEqual(
      issuer.heard.map(({ from }) => from).filter(Boolean),
      ["aa", "bb"].map((pair) => `1-${markOf(pair)}`),
    );
  });

  test("until the new log is heard, what the old one has ended is refused", async (context) => {
    const issuer = await issuerFor(context);
    // What is believed is a matter of the service's clock alone.
    issuer.behind = 120_000;
    const verifier = issuer.verifier();
    await verifier.ready();
    const claims = (others) => issuer.claims({ iat: now() - 120, nbf: now() - 120, ...others });
    const ended = claims();
    issuer.append({ kind: "session_ended", session: ended.sid });
    await until(async () => await reasonOf(verifier, issuer.jwt({ claims: ended })));
    const oldRev = issuer.rev();
    const asked = issuer.heard.length;
    issuer.behaviour = "hung";
    issuer.setBack("bb");
    await until(() => issuer.heard.slice(asked).some(({ from }) => !from));
    assert.equal(await reasonOf(verifier, issuer.jwt({ claims: ended })), "session_ended");
    assert.equal(await isCurrent(verifier, issuer.jwt({ claims: claims({ rev: oldRev }) })), false);

    issuer.behaviour = "usual";
    issuer.cut();
    const fresh = () => issuer.jwt({ claims: claims({ iat: now() - 119 }) });
    await until(async () => (await reasonOf(verifier, fresh())) === undefined);
    assert.equal(await reasonOf(verifier, issuer.jwt({ claims: ended })), "log_set_back");
  });

  test("a JWT of a log that there is no more is refused", async (context) => {
    const issuer = await issuerFor(context);
    issuer.append({ kind: "everyone_ended" });
    const verifier = issuer.verifier();
    await verifier.ready();
    const jwt = (others) => issuer.jwt({ claims: issuer.claims(others) });
    const lost = (number) => issuer.rev(number, markOf("dd"));
    assert.equal(await reasonOf(verifier, jwt()), undefined);
    for (const [number, reason] of [
      [0, "log_set_back"],
      [1, "log_set_back"],
      [9, "log_set_back"],
    ]) {
      const old = { rev: lost(number), iat: now() - 7 };
      assert.equal(await reasonOf(verifier, jwt(old)), reason, `${number}`);
    }
    // The feed may be behind by a moment; whoever is connected is told when it is not.
    const told = [];
    const listen = async (rev) => {
      const { claims } = await verifier.verify(jwt({ rev }));
      verifier.onEnded(claims, (ending) => told.push([rev, ending]));
    };
    for (const rev of [lost(2), lost(9), issuer.rev(2)]) {
      await listen(rev);
    }
    issuer.append({ kind: "session_ended", session: newKey().kid });
    await until(() => told.length === 1);
    assert.deepEqual(told, [[lost(2), "log_set_back"]]);
    await until(() => told.length === 2);
    assert.deepEqual(told[1], [lost(9), "log_set_back"]);
    assert.equal(await reasonOf(verifier, jwt({ rev: issuer.rev(2), iat: now() - 7 })), undefined);
  });

  test("what does not follow, or cannot be understood, is asked for again", async (context) => {
    const issuer = await issuerFor(context);
    const troubles = [];
    const verifier = issuer.verifier({ onTrouble: ({ message }) => troubles.push(message) });
    await verifier.ready();
    const event = (type, data) => `event: ${type}\ndata: ${JSON.stringify(data)}\n\n`;
    const { sid } = issuer.claims();
    const { mark } = issuer;
    for (const [said, trouble] of [
      [
        event("entry", { number: 2, mark, kind: "session_ended", session: sid }),
        /from 0 to 2/,
      ],
      [event("head", { number: 1, mark }), /head at 1/],
      [event("head", { number: 0, mark: markOf("zz") }), /says zz/],
      [event("entry", { number: 1, mark, kind: "session_ended" }), /says undefined/],
      [event("entry", { number: "1", mark, kind: "session_ended", session: sid }), /says 1/],
      [event("head", { number: 0, mark: `${mark}\r\nX: y` }), /says aa/],
      [event("head", { number: 0, mark: markOf("bb") }), /head at 0/],
      [event("window", { after: 0, at: new Date() }), /says undefined/],
      [event("head", null), /says null/],
      [event("head", { number: 0, mark, at: new Date(Date.now() - 6000) }), /ms old/],
      [event("head", { number: 0, mark, at: "now" }), /says now/],
      [event("head", { number: 0, mark, at: new Date(), lasts_ms: "9" }), /says 9/],
      ["event: entry\ndata: {\n\n", /JSON/],
      [`data: ${"x".repeat(100_000)}`, /has no end/],
    ]) {
      troubles.length = 0;
      const asked = issuer.heard.length;
      issuer.send(`event: later\ndata: {}\n\n${said}`);
      await until(() => troubles.length > 0);
      assert.match(troubles[0], trouble);
      await until(() => issuer.heard.length > asked && issuer.connected() === 1);
      await until(() => isCurrent(verifier, issuer.jwt()));
    }
    assert.equal(
      await reasonOf(verifier, issuer.jwt({ claims: issuer.claims({ sid }) })),
      undefined,
    );
  });

  test("a wrong credential is told to whoever waits, and keeps nothing from working", async (context) => {
    const issuer = await issuerFor(context);
    const verifier = issuer.verifier({ credential: "another" });
    await assert.rejects(verifier.ready(), { code: "unauthenticated", status: 401 });
    const { claims, current } = await verifier.verify(issuer.jwt());
    assert.deepEqual([claims.iss, current], [issuer.url, false]);
  });

  test("who has closed it leaves nothing behind, and who goes is not held", async (context) => {
    const issuer = await issuerFor(context);
    const verifierAt = (baseUrl) => {
      const options = { issuer: issuer.url, audience: AUDIENCE, baseUrl, credential: CREDENTIAL };
      return `
        import { createVerifier } from "gatelodge-client/verifier";
        process.on("exit", () => console.log("over"));
        const verifier = createVerifier(${JSON.stringify(options)});
        verifier.ready().then(() => console.log("ready"), ({ message }) => console.log(message));
      `;
    };
    const nobody = "http://127.0.0.1:1";
    const use = `
      await verifier.ready();
      const { claims } = await verifier.verify("${issuer.jwt()}");
      verifier.onEnded(claims, () => {});
      await verifier.verify("no JWT").catch(() => {});
    `;
    const wait = "await new Promise((resolve) => setTimeout(resolve, 300));";
    const close = `
      verifier.close();
      verifier.close();
      await verifier.ready().catch(({ message }) => console.log(message));
    `;
    const closed = "the verifier is closed\n";
    for (const [baseUrl, script, said] of [
      [issuer.url, use + close, `ready\n${closed}over\n`],
      [issuer.url, close, `${closed}${closed}over\n`],
      [nobody, wait + close, `${closed}${closed}over\n`],
      [nobody, wait, "over\n"],
    ]) {
      const whole = verifierAt(baseUrl) + script;
      const { status, ...all } = await run(["--no-warnings", "--input-type=module", "-e", whole]);
      assert.deepEqual({ status, ...all }, { status: 0, stdout: said, stderr: "" }, script);
    }
  });
});

/** Has the verifier hear of one more entry. */
async function onward(issuer, verifier) {
  const claims = issuer.claims();
  issuer.append({ kind: "session_ended", session: claims.sid });
  await until(async () => await reasonOf(verifier, issuer.jwt({ claims })));
}

/** Node, in a process of its own. */
const run = (args) =>
  new Promise((resolve) => {
    execFile(process.execPath, args, { timeout: 60_000 }, (error, stdout, stderr) =>
      resolve({ status: error?.code ?? 0, stdout, stderr }),
    );
  });
