import { Refusal } from "./refusal.js";

export const ALGORITHMS = ["EdDSA", "ES256", "RS256"] as const;
/** By their names in JWTs (RFC 7518, 3.1; RFC 8037, 3.1). */
export type Algorithm = (typeof ALGORITHMS)[number];

/** What the service says of whoever has the session. */
export interface Claims {
  /** The service. */
  readonly iss: string;
  /** The user's id. */
  readonly sub: string;
  readonly aud: string | readonly string[];
  /** In seconds since 1970, as `nbf` and `iat` are. */
  readonly exp: number;
  readonly nbf: number;
  readonly iat: number;
  readonly jti: string;
  /** The session's public id. */
  readonly sid: string;
  readonly roles: readonly string[];
  /**
   * Up to which entry of the revocation log the session was known to live: its number, and the
   * first bytes of its mark, such as `99-9f86d081`.
   */
  readonly rev: string;
  /** What a template adds. */
  readonly [name: string]: unknown;
}

/** A JWT of which only the header is known. */
export interface Unverified {
  readonly algorithm: Algorithm;
  readonly keyId: string;
  readonly signed: BufferSource;
  readonly signature: BufferSource;
  readonly payload: BufferSource;
}

/** Longer ones are not looked at. */
const MAX_LENGTH = 8192;
/** By how many seconds the clock of whoever issues may be ahead. */
const LEEWAY = 5;
/** No JWT of the service lives for more seconds. What the log has ended is kept for so long. */
const MAX_LIFETIME = 15 * 60;

/** Of one length and one spelling: without padding, and with no bits left over (RFC 4648, 3.5). */
const BASE64URL = /^(?:[\w-]{4})*(?:[\w-][AQgw]|[\w-]{2}[AEIMQUYcgkosw048])?$/;
const UUID = /^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/;
const REV = /^(?:0|[1-9]\d{0,14})-[\da-f]{8}$/;

/** Takes a JWT apart, as far as can be done before its signature is checked. */
export function parse(jwt: string, allowed: readonly Algorithm[]): Unverified {
  if (typeof jwt !== "string") {
    throw new Refusal("malformed");
  }
  if (jwt.length > MAX_LENGTH) {
    throw new Refusal("too_long");
  }
  const parts = jwt.split(".", 4);
  const [first, payload, signature] = parts;
  if (parts.length !== 3 || !first || !payload || !signature) {
    throw new Refusal("malformed");
  }
  const { alg, typ, kid, ...others } = object(bytes(first)) ?? refuse("malformed");
  const algorithm = allowed.find((one) => one === alg) ?? refuse("wrong_algorithm");
  if (typ !== "JWT") {
    throw new Refusal("wrong_type");
  }
  // What must be understood is not (RFC 7515, 4.1.11).
  if ("crit" in others) {
    throw new Refusal("critical_header");
  }
  return {
    algorithm,
    keyId: typeof kid === "string" ? kid : refuse("unknown_key"),
    signed: new TextEncoder().encode(`${first}.${payload}`),
    signature: bytes(signature),
    payload: bytes(payload),
  };
}

/** What a JWT claims whose signature is right, if it is for this audience and this moment. */
export function claimsOf(
  payload: BufferSource,
  expected: { readonly issuer: string; readonly audience: string },
  now: number,
): Claims {
  const { iss, aud, exp, nbf, iat, jti, sub, sid, roles, rev, ...others } =
    object(payload) ?? refuse("malformed_claims");
  if (iss !== expected.issuer) {
    throw new Refusal("wrong_issuer");
  }
  const audience = typeof aud === "string" ? aud : (strings(aud) ?? refuse("wrong_audience"));
  if (![audience].flat().includes(expected.audience)) {
    throw new Refusal("wrong_audience");
  }
  const times = { exp: whole(exp), nbf: whole(nbf), iat: whole(iat) };
  if (isOver(times, now)) {
    throw new Refusal("expired");
  }
  if (Math.max(times.nbf, times.iat) > now / 1000 + LEEWAY) {
    throw new Refusal("not_yet_valid");
  }
  if (times.exp - times.iat > MAX_LIFETIME) {
    throw new Refusal("lives_too_long");
  }
  return {
    ...others,
    ...times,
    iss,
    aud: audience,
    jti: typeof jti === "string" ? jti : refuse("malformed_claims"),
    sub: uuid(sub),
    sid: uuid(sid),
    roles: strings(roles) ?? refuse("malformed_claims"),
    rev: typeof rev === "string" && REV.test(rev) ? rev : refuse("malformed_claims"),
  };
}

/** In milliseconds since 1970. */
export const endOf = ({ exp }: Pick<Claims, "exp">): number => exp * 1000;

const isOver = (claims: Pick<Claims, "exp">, now: number): boolean => endOf(claims) <= now;

function refuse(reason: ConstructorParameters<typeof Refusal>[0]): never {
  throw new Refusal(reason);
}

const bytes = (part: string): BufferSource =>
  BASE64URL.test(part) ? Buffer.from(part, "base64url") : refuse("malformed");

const whole = (value: unknown): number =>
  Number.isSafeInteger(value) && (value as number) >= 0
    ? (value as number)
    : refuse("malformed_claims");

const uuid = (value: unknown): string =>
  typeof value === "string" && UUID.test(value) ? value : refuse("malformed_claims");

const strings = (value: unknown): readonly string[] | undefined =>
  Array.isArray(value) && value.every((one) => typeof one === "string") ? value : undefined;

/** A JSON object in UTF-8, none of whose members is there twice (RFC 7519, 4). */
function object(json: BufferSource): Record<string, unknown> | undefined {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(json);
    const value: unknown = JSON.parse(text);
    return isObject(value) && !Array.isArray(value) && namesIn(text) === membersOf(value)
      ? value
      : undefined;
  } catch {
    return undefined;
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null;

/** How many members a text of JSON names: of equal names, the parser keeps the last alone. */
function namesIn(text: string): number {
  const strings = text.matchAll(/"(?:[^"\\]|\\.)*"\s*(:)?/g);
  return [...strings].filter(([, colon]) => colon).length;
}

function membersOf(value: unknown): number {
  if (!isObject(value)) {
    return 0;
  }
  const own = Array.isArray(value) ? 0 : Object.keys(value).length;
  return Object.values(value).reduce<number>((sum, member) => sum + membersOf(member), own);
}
