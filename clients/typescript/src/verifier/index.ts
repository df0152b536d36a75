import { follow, isRefused } from "./feed.js";
import { type Algorithm, ALGORITHMS, type Claims, claimsOf, parse } from "./jwt.js";
import { createKeys } from "./keys.js";
import { Refusal } from "./refusal.js";
import { createView } from "./view.js";
import { createWatch, type Ending } from "./watch.js";

export type { Algorithm, Claims } from "./jwt.js";
export { type Reason, Refusal } from "./refusal.js";
export type { Ending } from "./watch.js";

export interface VerifierOptions {
  /** Whose JWTs are accepted: the service's `iss`. */
  issuer: string;
  /** Who accepts them: the `aud` of this server. */
  audience: string;
  /** Where the service is, such as `https://auth.example.com`. */
  baseUrl: string;
  /** What opens the revocations: one of the service's `revocations.credentials`. */
  credential: string;
  /** Which algorithms a key may be of. EdDSA alone if left out. */
  algorithms?: readonly Algorithm[] | undefined;
  /** For how many entries of the log there is room. 1 000 000 if left out. */
  capacity?: number | undefined;
  /** What goes wrong meanwhile, such as that the service cannot be reached. For the log. */
  onTrouble?: ((trouble: unknown) => void) | undefined;
}

/** What a JWT says that is accepted. */
export interface Verified {
  readonly claims: Claims;
  /**
   * Whether the service has vouched, less than five seconds ago, that it has not ended the
   * session. If it has not, nobody can tell, and the JWT's lifetime alone has decided.
   */
  readonly current: boolean;
}

export interface Verifier {
  /** What a JWT says; fails with a `Refusal`. */
  verify(jwt: string): Promise<Verified>;
  /**
   * Tells once when a JWT that was accepted is no good any more, and why: for connections,
   * which outlive their request. Gives how to stop listening.
   */
  onEnded(claims: Claims, listener: (ending: Ending) => void): () => void;
  /** When the service has been heard. Fails if it refuses the credential. */
  ready(): Promise<void>;
  /** Leaves the service, with nothing left open. Who listens is not told. */
  close(): void;
}

/** Verifies the service's JWTs, and hears which of them it has ended. */
export function createVerifier(options: VerifierOptions): Verifier {
  const { issuer, audience, credential, algorithms = ["EdDSA"], capacity } = options;
  for (const [name, value] of Object.entries({ issuer, audience, credential })) {
    if (typeof value !== "string" || value === "") {
      throw new TypeError(`${name} is missing`);
    }
  }
  if (algorithms.length === 0 || !algorithms.every((one) => ALGORITHMS.includes(one))) {
    throw new TypeError(`algorithms are some of ${ALGORITHMS.join(", ")}`);
  }
  const baseUrl = new URL(options.baseUrl).href.replace(/\/$/, "");
  const closing = new AbortController();
  const unwanted = closing.signal;
  const waiting = new Set<{ resolve: () => void; reject: (reason: unknown) => void }>();

  const tell = (trouble: unknown) => {
    try {
      options.onTrouble?.(trouble);
    } catch {
      // Nobody else is to suffer from it.
    }
  };
  const giveUp = (reason: unknown) => {
    waiting.forEach(({ reject }) => reject(reason));
    waiting.clear();
  };

  const view = createView(capacity);
  const watch = createWatch(view, tell);
  const keys = createKeys({
    address: `${baseUrl}/.well-known/jwks.json`,
    algorithms,
    onTrouble: tell,
    unwanted,
  });
  const isReady = () => keys.areKnown() && view.isCurrent();
  void follow({
    address: `${baseUrl}/api/revocations`,
    credential,
    view,
    onEntry: watch.look,
    onVouched() {
      watch.lookAhead();
      if (isReady()) {
        waiting.forEach(({ resolve }) => resolve());
        waiting.clear();
      }
    },
    onTrouble(trouble) {
      tell(trouble);
      if (isRefused(trouble)) {
        giveUp(trouble);
      }
    },
    unwanted,
  });

  return {
    async verify(jwt) {
      const unverified = parse(jwt, algorithms);
      await keys.check(unverified);
      const claims = claimsOf(unverified.payload, { issuer, audience }, Date.now());
      const reason = view.refusal(claims);
      if (reason) {
        throw new Refusal(reason);
      }
      return { claims, current: view.isCurrent() };
    },

    onEnded: watch.on,

    async ready() {
      unwanted.throwIfAborted();
      if (!isReady()) {
        await new Promise<void>((resolve, reject) => waiting.add({ resolve, reject }));
      }
    },

    close() {
      closing.abort(new Error("the verifier is closed"));
      watch.stop();
      giveUp(unwanted.reason);
    },
  };
}
