import { webcrypto } from "node:crypto";

import { read, unreachable } from "../problem.js";
import { attended, later } from "./attended.js";
import type { Algorithm, Unverified } from "./jwt.js";
import { Refusal } from "./refusal.js";

/** What a key of an algorithm is to WebCrypto, and how it checks. */
const WAYS = {
  EdDSA: { key: { name: "Ed25519" }, check: { name: "Ed25519" } },
  ES256: {
    key: { name: "ECDSA", namedCurve: "P-256" },
    check: { name: "ECDSA", hash: "SHA-256" },
  },
  RS256: {
    key: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
    check: { name: "RSASSA-PKCS1-v1_5" },
  },
} as const;

/** Shorter keys of RSA are not used (RFC 7518, 3.3). */
const MIN_RSA_BITS = 2048;
/** How long an answer may take. */
const PATIENCE = 3000;
/** However many JWTs name keys that nobody knows, they are asked for no more often. */
const SELDOM = 10_000;
/** When to ask again after a failure, and if an answer does not say. */
const [AFTER_FAILURE, USUALLY] = [2000, 300_000];

/** A public key, to which its algorithm belongs. */
interface Key {
  readonly algorithm: Algorithm;
  readonly key: CryptoKey;
}

export interface KeysOptions {
  readonly address: string;
  readonly algorithms: readonly Algorithm[];
  readonly onTrouble: (trouble: unknown) => void;
  readonly unwanted: AbortSignal;
}

export type Keys = ReturnType<typeof createKeys>;

/** The service's public keys (`GET /.well-known/jwks.json`), as new as it says they must be. */
export function createKeys({ address, algorithms, onTrouble, unwanted }: KeysOptions) {
  let known = new Map<string, Key>();
  let isSure = false;
  let asked = -Infinity;
  let asking: Promise<void> | undefined;
  let callOff = () => {};

  const load = (): Promise<number> =>
    attended(unwanted, PATIENCE, async (signal) => {
      const answer = await fetch(address, { signal, redirect: "error" }).catch((cause: unknown) => {
        throw unreachable(cause);
      });
      if (!answer.ok) {
        await read(answer);
      }
      known = await keysOf(await answer.json(), algorithms);
      isSure = true;
      const maxAge = /\bmax-age=(\d{1,5})\b/.exec(answer.headers.get("cache-control") ?? "");
      return maxAge ? Math.max(Number(maxAge[1]) * 1000, SELDOM) : USUALLY;
    });

  /** One request, whoever waits for it. */
  const ask = (): Promise<void> => {
    asked = performance.now();
    asking ??= load()
      .catch((trouble: unknown) => {
        isSure = false;
        if (!unwanted.aborted) {
          onTrouble(trouble);
        }
        return AFTER_FAILURE * (1 + Math.random());
      })
      .then((pause) => {
        asking = undefined;
        callOff();
        if (!unwanted.aborted) {
          callOff = later(pause, ask);
        }
      });
    return asking;
  };
  unwanted.addEventListener("abort", () => callOff());
  void ask();

  const find = async (keyId: string): Promise<Key> => {
    if (!known.has(keyId)) {
      await (performance.now() - asked < SELDOM ? asking : ask());
    }
    const key = known.get(keyId);
    if (key) {
      return key;
    }
    throw new Refusal(isSure ? "unknown_key" : "keys_unavailable");
  };

  return {
    /** Whether the keys are known. */
    areKnown: () => known.size > 0,

    /** Checks the one signature that a JWT has. */
    async check({ keyId, algorithm, signature, signed }: Unverified): Promise<void> {
      const found = await find(keyId);
      if (found.algorithm !== algorithm) {
        throw new Refusal("wrong_algorithm");
      }
      const way = WAYS[algorithm].check;
      if (!(await webcrypto.subtle.verify(way, found.key, signature, signed))) {
        throw new Refusal("wrong_signature");
      }
    },
  };
}

/** Those of a JWK Set (RFC 7517, 5) that are for signatures of a wanted algorithm. */
async function keysOf(said: unknown, wanted: readonly Algorithm[]): Promise<Map<string, Key>> {
  const keys = new Map<string, Key>();
  for (const { kid, alg, use = "sig", kty, crv, x, y, n, e } of (said as { keys: Jwk[] }).keys) {
    const algorithm = wanted.find((one) => one === alg);
    if (!algorithm || use !== "sig" || typeof kid !== "string") {
      continue;
    }
    const jwk = Object.fromEntries(Object.entries({ kty, crv, x, y, n, e }).filter(([, v]) => v));
    const key = await webcrypto.subtle
      .importKey("jwk", jwk, WAYS[algorithm].key, false, ["verify"])
      .catch(() => undefined);
    if (key && bitsOf(key) >= MIN_RSA_BITS) {
      keys.set(kid, { algorithm, key });
    }
  }
  if (keys.size === 0) {
    throw new Error(`the service has no key for ${wanted.join(" or ")}`);
  }
  return keys;
}

/** Of a key of RSA; the others have one length. */
const bitsOf = ({ algorithm }: CryptoKey): number =>
  "modulusLength" in algorithm ? (algorithm as RsaKeyAlgorithm).modulusLength : Infinity;

type Jwk = JsonWebKey & { readonly kid?: unknown };
