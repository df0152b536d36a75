// What is sent by those who have no JWT of the service, or one that is not good.

import assert from "node:assert/strict";
import { createHmac, webcrypto } from "node:crypto";
import { test } from "node:test";

import { Refusal } from "gatelodge-client/verifier";

import { encoded, issuerFor, newKey, now, reasonOf } from "./issuer.js";

/** How many signatures are checked meanwhile. */
async function checksDuring(context, act) {
  const spy = context.mock.method(webcrypto.subtle, "verify");
  try {
    await act();
    return spy.mock.callCount();
  } finally {
    spy.mock.restore();
  }
}

const [ed, es, rs, stranger] = [newKey("EdDSA"), newKey("ES256"), newKey("RS256"), newKey("EdDSA")];

const HEADERS = {
  wrong_algorithm: [
    { alg: "none" },
    { alg: "None" },
    { alg: "HS256" },
    { alg: "eddsa" },
    { alg: "ES384" },
    { alg: ["EdDSA"] },
    { alg: null },
    { alg: undefined },
    { alg: "ES256" },
    { alg: "RS256" },
  ],
  wrong_type: [{ typ: "jwt" }, { typ: "at+jwt" }, { typ: undefined }, { typ: 1 }, { typ: ["JWT"] }],
  critical_header: [
    { crit: ["b64"], b64: false },
    { crit: [] },
    { crit: null },
    { crit: ["exp"], exp: 1 },
  ],
  unknown_key: [
    { kid: undefined },
    { kid: null },
    { kid: 0 },
    { kid: "" },
    { kid: [ed.kid] },
    { kid: { toString: ed.kid } },
    { kid: "__proto__" },
    { kid: "../../../../dev/null" },
    { kid: "file:///dev/null" },
    { kid: "' OR '1'='1" },
    { kid: `${ed.kid}\0` },
    { kid: "k".repeat(4000) },
  ],
};

const CLAIMS = {
  wrong_issuer: [
    { iss: undefined },
    { iss: "https://evil.example" },
    { iss: "" },
    { iss: ["x"] },
    { iss: 1 },
  ],
  wrong_audience: [
    { aud: undefined },
    { aud: "others" },
    { aud: [] },
    { aud: ["others"] },
    { aud: [["orders"]] },
    { aud: ["orders", 1] },
    { aud: { orders: true } },
    { aud: "Orders" },
    { aud: "orders " },
  ],
  expired: [{ exp: now() - 3600 }, { exp: now() - 10 }, { exp: now() }, { exp: 0 }],
  not_yet_valid: [{ nbf: now() + 60 }, { iat: now() + 60 }],
  lives_too_long: [
    { exp: now() + 3600 },
    { exp: Number.MAX_SAFE_INTEGER },
    { iat: now() - 1000 },
    { iat: 0 },
  ],
  malformed_claims: [
    ...["exp", "nbf", "iat"].flatMap((name) =>
      [undefined, null, `${now() + 60}`, [now() + 60], {}, true, -1, 1.5, NaN, 2 ** 60].map(
        (value) => ({
          [name]: value,
        }),
      ),
    ),
    ...["sub", "sid"].flatMap((name) =>
      [undefined, null, "", 7, ["x"], "not an id", "0193CAFE-0000-7000-8000-000000000000"].map(
        (value) => ({
          [name]: value,
        }),
      ),
    ),
    ...[
      ...[undefined, null, 7, "", "7", "7-", "-9f86d081", "7-9F86D081", "7-9f86d08"],
      ...["7-9f86d0811", "07-9f86d081", "-7-9f86d081", "1e3-9f86d081", "7-9f86d081\n"],
      ...["9999999999999999-9f86d081", ["7-9f86d081"]],
    ].map((rev) => ({ rev })),
    { jti: undefined },
    { jti: 1 },
    { roles: undefined },
    { roles: "admin" },
    { roles: [1] },
  ],
};

/** What is no JWT at all, made of one that is. */
function misshapen(jwt) {
  const [header, payload, signature] = jwt.split(".");
  return [
    undefined,
    null,
    17,
    { length: 3 },
    "",
    ".",
    "..",
    "...",
    header,
    `${header}.${payload}`,
    `${header}.${payload}.`,
    `${header}..${signature}`,
    `.${payload}.${signature}`,
    `${jwt}.`,
    `.${jwt}`,
    `${jwt}.${signature}`,
    `${header}.${payload}.${signature}.${signature}.${signature}`,
    `${jwt}=`,
    `${jwt}==`,
    `${header}=.${payload}.${signature}`,
    ` ${jwt}`,
    `${jwt} `,
    `${jwt}\n`,
    `${header}.\n${payload}.${signature}`,
    `${header}.${payload}.${Buffer.from(signature, "base64url").toString("base64")}`,
    `Bearer ${jwt}`,
    `${jwt}\0`,
    jwt.replace("e", "е"),
    `${encoded("[]")}.${payload}.${signature}`,
    `${encoded("null")}.${payload}.${signature}`,
    `${encoded('"EdDSA"')}.${payload}.${signature}`,
    `${encoded("{")}.${payload}.${signature}`,
    `${encoded("[".repeat(4000))}.${payload}.${signature}`,
    `${Buffer.from([0xef, 0xbb, 0xbf, 0x7b, 0x7d]).toString("base64url")}.${payload}.${signature}`,
    `${Buffer.from('{"alg":"\xff"}', "latin1").toString("base64url")}.${payload}.${signature}`,
  ];
}

test("whatever is wrong with a JWT, it is refused with one text and at most one check", async (context) => {
  const issuer = await issuerFor(context, ed, es, rs);
  const verifier = issuer.verifier();
  await verifier.ready();
  const refused = async (jwt, reason, checks) => {
    const what = `${reason}: ${String(jwt).slice(0, 300)}`;
    const checked = await checksDuring(context, () =>
      assert.rejects(verifier.verify(jwt), (refusal) => {
        assert.ok(refusal instanceof Refusal, what);
        assert.equal(refusal.message, "The JWT is not accepted.");
        assert.deepEqual([refusal.status, refusal.reason], [401, reason], what);
        return true;
      }),
    );
    assert.equal(checked, checks, what);
  };

  const good = issuer.jwt();
  assert.equal(await checksDuring(context, () => verifier.verify(good)), 1);
  for (const [reason, headers] of Object.entries(HEADERS)) {
    for (const header of headers) {
      await refused(issuer.jwt({ header }), reason, 0);
    }
  }
  for (const [reason, others] of Object.entries(CLAIMS)) {
    for (const other of others) {
      await refused(issuer.jwt({ claims: issuer.claims(other) }), reason, 1);
    }
  }
  for (const jwt of misshapen(good)) {
    await refused(jwt, "malformed", 0);
  }
  for (const long of [`${good}${"A".repeat(8193)}`, "A".repeat(1_000_000), ".".repeat(10_000)]) {
    await refused(long, "too_long", 0);
  }

  // A public key is no secret.
  const unsigned = good.slice(0, good.lastIndexOf("."));
  for (const secret of [ed.publicKey.export({ type: "spki", format: "pem" }), ed.jwk.x, ""]) {
    for (const alg of ["HS256", "EdDSA"]) {
      const head = encoded({ alg, kid: ed.kid, typ: "JWT" });
      const body = `${head}.${unsigned.split(".")[1]}`;
      const jwt = `${body}.${createHmac("sha256", secret).update(body).digest("base64url")}`;
      await refused(
        jwt,
        alg === "HS256" ? "wrong_algorithm" : "wrong_signature",
        alg === "HS256" ? 0 : 1,
      );
    }
  }
  // A key that comes with the JWT is nobody's.
  const { jwk } = stranger;
  for (const header of [
    { jwk },
    { jku: `${issuer.url}/evil` },
    { x5u: "file:///dev/null" },
    { x5c: ["x"] },
  ]) {
    await refused(
      issuer.jwt({ key: stranger, header: { kid: ed.kid, ...header } }),
      "wrong_signature",
      1,
    );
  }
  await refused(issuer.jwt({ key: stranger }), "unknown_key", 0);
  // The signature of something else.
  const [, , signature] = issuer.jwt().split(".");
  await refused(`${unsigned}.${signature}`, "wrong_signature", 1);
  await refused(`${unsigned}.${encoded("")}AA`, "wrong_signature", 1);

  const header = `{"alg":"EdDSA","kid":"${ed.kid}","typ":"JWT"`;
  for (const twice of [
    ',"alg":"EdDSA"}',
    ',"typ":"JWT"}',
    ',"\\u006bid":"x"}',
    ',"x":{"a":1,"a":1}}',
  ]) {
    await refused(issuer.jwt({ header: `${header}${twice}` }), "malformed", 0);
  }
  const text = JSON.stringify(issuer.claims());
  for (const [of, by] of [
    [/}$/, ',"exp":1}'],
    [/}$/, `,"sub":"${issuer.claims().sub}"}`],
    [/}$/, ',"a":[{"b":1,"b":2}]}'],
    [/"exp":\d+/, '"exp":1e400'],
    [/"exp":/, '"exp":NaN,"x":'],
    [/^/, "\ufeff"],
    [/}$/, "}{}"],
  ]) {
    const reason = "malformed_claims";
    await refused(issuer.jwt({ payload: encoded(text.replace(of, by)) }), reason, 1);
  }
  await refused(issuer.jwt({ payload: encoded("[1]") }), "malformed_claims", 1);
  assert.equal(await reasonOf(verifier, good), undefined, "nothing of it has any effect");
});

test("a JWT is good only as it was signed, to the last bit", async (context) => {
  const issuer = await issuerFor(context, ed);
  const verifier = issuer.verifier();
  await verifier.ready();
  const jwt = issuer.jwt();
  const letters = "AQgwBZaz09-_.=~ é\0";
  await verifier.verify(jwt);
  const refused = async (changed) => {
    if (changed !== jwt) {
      assert.ok(await reasonOf(verifier, changed), changed);
    }
  };
  for (let at = 0; at < jwt.length; at += 1) {
    const [before, after] = [jwt.slice(0, at), jwt.slice(at + 1)];
    const other = letters[Math.floor(Math.random() * letters.length)];
    const neighbour = String.fromCharCode(jwt.charCodeAt(at) + 1);
    for (const letter of ["", other, neighbour, `${jwt[at]}${other}`]) {
      await refused(`${before}${letter}${after}`);
    }
  }
  for (const letter of "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") {
    await refused(`${jwt.slice(0, -1)}${letter}`);
  }
});

test("an algorithm belongs to a key, and is wanted", async (context) => {
  const issuer = await issuerFor(context, ed, es, rs);
  const all = issuer.verifier({ algorithms: ["EdDSA", "ES256", "RS256"] });
  const usual = issuer.verifier();
  const keys = [ed, es, rs];
  for (const key of keys) {
    const jwt = issuer.jwt({ key });
    assert.equal(await reasonOf(all, jwt), undefined, key.alg);
    assert.equal(await reasonOf(usual, jwt), key === ed ? undefined : "wrong_algorithm");
    for (const { alg } of keys.filter((other) => other !== key)) {
      const confused = [issuer.jwt({ key, header: { alg } })];
      confused.push(
        issuer.sign(
          jwt.slice(0, jwt.lastIndexOf(".")),
          keys.find((one) => one.alg === alg),
        ),
      );
      confused.push(issuer.jwt({ key: { ...keys.find((one) => one.alg === alg), kid: key.kid } }));
      for (const [number, reason] of [
        "wrong_algorithm",
        "wrong_signature",
        "wrong_algorithm",
      ].entries()) {
        assert.equal(
          await reasonOf(all, confused[number]),
          reason,
          `${key.alg} as ${alg}, ${number}`,
        );
      }
    }
  }
  for (const algorithms of [[], ["HS256"], ["none"], ["EdDSA", "HS256"]]) {
    assert.throws(() => issuer.verifier({ algorithms }), TypeError);
  }
  for (const name of ["issuer", "audience", "credential"]) {
    assert.throws(() => issuer.verifier({ [name]: undefined }), { message: `${name} is missing` });
  }
});

test("the clock of whoever mints may be ahead by a few seconds", async (context) => {
  const issuer = await issuerFor(context, ed);
  const verifier = issuer.verifier();
  for (const other of [
    { iat: now() + 3, nbf: now() + 3 },
    { exp: now() + 900 },
    { aud: ["others", "orders"] },
    { email: "ada@example.com", nested: { 'exp":': [':"', 1.5, null] } },
  ]) {
    const claims = issuer.claims(other);
    assert.deepEqual((await verifier.verify(issuer.jwt({ claims }))).claims, claims);
  }
});
