// A service of the test's own, which signs what Gatelodge never would, and falls silent or
// loses its log when it is told to.

import { createSign, generateKeyPairSync, randomUUID, sign } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";

import { createVerifier } from "gatelodge-client/verifier";

export const AUDIENCE = "orders";
export const CREDENTIAL = "a credential";

const PAIRS = {
  EdDSA: () => generateKeyPairSync("ed25519"),
  ES256: () => generateKeyPairSync("ec", { namedCurve: "P-256" }),
  RS256: () => generateKeyPairSync("rsa", { modulusLength: 2048 }),
};
const SIGNATURES = {
  EdDSA: (signed, key) => sign(null, signed, key),
  ES256: (signed, key) =>
    createSign("sha256").update(signed).sign({ key, dsaEncoding: "ieee-p1363" }),
  RS256: (signed, key) => createSign("sha256").update(signed).sign(key),
};

export const now = () => Math.floor(Date.now() / 1000);
export const markOf = (pair) => pair.repeat(16);
export const encoded = (part) =>
  Buffer.from(typeof part === "string" ? part : JSON.stringify(part)).toString("base64url");

export function newKey(alg = "EdDSA", pair = PAIRS[alg]()) {
  const kid = randomUUID();
  return {
    alg,
    kid,
    ...pair,
    jwk: { ...pair.publicKey.export({ format: "jwk" }), alg, kid, use: "sig" },
  };
}

export async function issuerFor(context, ...keys) {
  const key = keys[0] ?? newKey();
  const log = [];
  const streams = new Set();
  const [heard, asked] = [[], { keys: 0 }];
  const issuer = {
    key,
    keys: [key, ...keys.slice(1)],
    /** What the feed was asked with, and how often the keys were asked for. */
    heard,
    asked,
    behaviour: "usual",
    /** Which entries there are from; another mark is another log. */
    floor: 0,
    mark: markOf("aa"),
    /** By how many milliseconds the service's clock is behind. */
    behind: 0,

    claims: (others = {}) => ({
      iss: issuer.url,
      sub: randomUUID(),
      aud: AUDIENCE,
      exp: now() + 300,
      nbf: now(),
      iat: now(),
      jti: randomUUID(),
      sid: randomUUID(),
      roles: ["user"],
      rev: issuer.rev(),
      ...others,
    }),

    /** A JWT, of which anything may be otherwise. */
    jwt({
      header = {},
      claims = issuer.claims(),
      key = issuer.key,
      payload = encoded(claims),
    } = {}) {
      const first =
        typeof header === "string" ? header : { alg: key.alg, kid: key.kid, typ: "JWT", ...header };
      return issuer.sign(`${encoded(first)}.${payload}`, key);
    },
    sign: (signed, { alg, privateKey } = issuer.key) =>
      `${signed}.${SIGNATURES[alg](Buffer.from(signed), privateKey).toString("base64url")}`,

    head: () => issuer.floor + log.length,
    rev: (number = issuer.head(), mark = issuer.mark) => `${number}-${mark.slice(0, 8)}`,
    append(entry) {
      const line = { number: issuer.head() + 1, mark: issuer.mark, ...entry };
      log.push(line);
      streams.forEach((stream) => stream.entry(line));
    },
    /** Sends whatever it is given. */
    send: (text) => streams.forEach((stream) => stream.write(text)),
    cut: () => streams.forEach((stream) => stream.response.destroy()),
    setBack(mark) {
      Object.assign(issuer, { mark: markOf(mark), floor: 0 });
      log.length = 0;
      issuer.cut();
    },
    connected: () => streams.size,

    verifier(options = {}) {
      const verifier = createVerifier({
        issuer: issuer.url,
        audience: AUDIENCE,
        baseUrl: issuer.url,
        credential: CREDENTIAL,
        ...options,
      });
      context.after(() => verifier.close());
      return verifier;
    },
  };

  function feed(request, response) {
    heard.push({
      from: request.headers["last-event-id"],
      credential: request.headers.authorization,
    });
    const problem = (status, code) => {
      response.writeHead(status, { "Content-Type": "application/problem+json" });
      response.end(JSON.stringify({ status, code, title: code, detail: code }));
    };
    if (request.headers.authorization !== `Bearer ${CREDENTIAL}`) {
      return problem(401, "unauthenticated");
    }
    const from = request.headers["last-event-id"];
    const [number, mark] = from?.split("-") ?? [issuer.floor];
    if (Number(number) > issuer.head() || (mark && mark !== issuer.mark)) {
      return problem(410, "unknown_position");
    }
    if (issuer.behaviour === "hung") {
      return;
    }
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    const write = (text) => response.write(text);
    const event = (type, data) =>
      write(`event: ${type}\nid: ${data.number}-${data.mark}\ndata: ${JSON.stringify(data)}\n\n`);
    const at = () => new Date(Date.now() - issuer.behind);
    const window = { after: Number(number), mark: issuer.mark, at: at() };
    write(`: hello\nevent: window\ndata: ${JSON.stringify(window)}\n\n`);
    log.slice(Number(number) - issuer.floor).forEach((line) => event("entry", line));
    const head = () => {
      if (issuer.behaviour === "usual") {
        event("head", { number: issuer.head(), mark: issuer.mark, at: at() });
      }
    };
    head();
    const stream = { response, write, entry: (line) => event("entry", line) };
    const heads = setInterval(head, 250);
    streams.add(stream);
    response.on("close", () => {
      clearInterval(heads);
      streams.delete(stream);
    });
  }

  const server = createServer((request, response) => {
    if (request.url === "/api/revocations") {
      return feed(request, response);
    }
    asked.keys += 1;
    if (issuer.behaviour === "no keys") {
      return response.writeHead(502).end();
    }
    const headers = { "Content-Type": "application/jwk-set+json", "Cache-Control": "max-age=300" };
    response
      .writeHead(200, headers)
      .end(JSON.stringify({ keys: issuer.keys.map(({ jwk }) => jwk) }));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  issuer.url = `http://127.0.0.1:${server.address().port}`;
  context.after(() => {
    issuer.cut();
    server.closeAllConnections();
    server.close();
  });
  return issuer;
}

/** Waits until it is so. */
export async function until(isSo, limit = 30_000) {
  for (const end = Date.now() + limit; Date.now() < end;) {
    if (await isSo()) {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`not within ${limit} ms: ${isSo}`);
}

/** Why a JWT is refused; undefined: it is not. */
export const reasonOf = (verifier, jwt) =>
  verifier.verify(jwt).then(
    () => undefined,
    ({ reason }) => reason,
  );
