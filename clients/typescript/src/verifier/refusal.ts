import type { LogReason } from "./view.js";

/** Why a JWT is refused: for the log, not for whoever has sent it. */
export type Reason =
  | "too_long"
  | "malformed"
  | "wrong_algorithm"
  | "wrong_type"
  | "critical_header"
  | "unknown_key"
  | "keys_unavailable"
  | "wrong_signature"
  | "wrong_issuer"
  | "wrong_audience"
  | "expired"
  | "not_yet_valid"
  | "lives_too_long"
  | "malformed_claims"
  | LogReason;

/** A JWT is not accepted. What it says is always the same. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly reason: Reason;

  constructor(reason: Reason) {
    super("The JWT is not accepted.");
    this.reason = reason;
  }

  /** What to answer with: 503 if nobody can tell, since the keys cannot be had. */
  get status(): 401 | 503 {
    return this.reason === "keys_unavailable" ? 503 : 401;
  }
}
