// Where the keys come from, how often they are asked for, and what is when they are not there.

import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";

import { issuerFor, newKey, reasonOf } from "./issuer.js";

test("keys that nobody knows are asked for once in ten seconds, however many come", async (context) => {
  const issuer = await issuerFor(context);
  const verifier = issuer.verifier();
  await verifier.ready();
  assert.equal(issuer.asked.keys, 1);
  const next = newKey();
  issuer.keys.push(next);
  const forged = () =>
    Promise.all(
      Array.from({ length: 500 }, (_, number) =>
        reasonOf(verifier, issuer.jwt({ header: { kid: `unknown ${number}` } })),
      ),
    );
  const refused = await forged();
  assert.deepEqual([...new Set(refused)], ["unknown_key"]);
  assert.equal(await reasonOf(verifier, issuer.jwt({ key: next })), "unknown_key");
  assert.equal(issuer.asked.keys, 1);

  const elapsed = performance.now();
  const clock = context.mock.method(performance, "now", () => elapsed + 10_001);
  const [known] = await Promise.all([reasonOf(verifier, issuer.jwt({ key: next })), forged()]);
  assert.equal(known, undefined);
  assert.equal(issuer.asked.keys, 2);
  clock.mock.restore();

  // A key that is there no more is not believed any more.
  issuer.keys = [next];
  const later = context.mock.method(performance, "now", () => elapsed + 20_002);
  await forged();
  later.mock.restore();
  assert.equal(issuer.asked.keys, 3);
  assert.equal(await reasonOf(verifier, issuer.jwt()), "unknown_key");
});

test("without keys nobody can tell, and they are asked for again", async (context) => {
  const issuer = await issuerFor(context);
  issuer.behaviour = "no keys";
  const troubles = [];
  const verifier = issuer.verifier({ onTrouble: (trouble) => troubles.push(trouble) });
  await assert.rejects(verifier.verify(issuer.jwt()), { reason: "keys_unavailable", status: 503 });
  await assert.rejects(verifier.verify("no JWT"), { reason: "malformed", status: 401 });
  assert.deepEqual(
    troubles.map(({ code, status }) => [code, status]),
    [["foreign_answer", 502]],
  );
  issuer.behaviour = "usual";
  await verifier.ready();
  await verifier.verify(issuer.jwt());
});

test("what is no key for signatures of a wanted algorithm is passed over", async (context) => {
  const short = newKey("RS256", generateKeyPairSync("rsa", { modulusLength: 1024 }));
  const misnamed = newKey("EdDSA");
  misnamed.jwk.alg = "RS256";
  const sealing = newKey("EdDSA");
  sealing.jwk.use = "enc";
  const [good, secret] = [
    newKey("RS256"),
    { jwk: { kty: "oct", k: "AAAA", alg: "HS256", kid: "x" } },
  ];
  const issuer = await issuerFor(context, good, short, misnamed, sealing, secret, {
    jwk: { kid: 1 },
  });
  const verifier = issuer.verifier({ algorithms: ["EdDSA", "RS256"] });
  assert.equal(await reasonOf(verifier, issuer.jwt()), undefined);
  for (const key of [short, misnamed, sealing]) {
    const alg = key.alg;
    assert.equal(
      await reasonOf(verifier, issuer.jwt({ key, header: { alg } })),
      "unknown_key",
      alg,
    );
  }
});
