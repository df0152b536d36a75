import { later } from "./attended.js";
import { type Claims, endOf } from "./jwt.js";
import type { Entry, LogReason } from "./view.js";

/** Why a JWT is no good any more. */
export type Ending = LogReason | "expired";

interface Watcher {
  readonly claims: Claims;
  readonly tell: (ending: Ending) => void;
  readonly stop: () => void;
}

/** Tells whoever lets something go on by a JWT when that is no good any more. */
export function createWatch(
  refusal: (claims: Claims) => LogReason | undefined,
  onTrouble: (trouble: unknown) => void,
) {
  const watchers = new Set<Watcher>();
  /** By the ids of the session and of the user. */
  const bySubject = new Map<string, Set<Watcher>>();

  return {
    on(claims: Claims, listener: (ending: Ending) => void): () => void {
      const stop = () => {
        callOff();
        watchers.delete(watcher);
        for (const subject of [claims.sid, claims.sub]) {
          const about = bySubject.get(subject);
          if (about?.delete(watcher) && about.size === 0) {
            bySubject.delete(subject);
          }
        }
      };
      const tell = (ending: Ending) => {
        stop();
        try {
          listener(ending);
        } catch (trouble) {
          onTrouble(trouble);
        }
      };
      const watcher = { claims, tell, stop };
      const callOff = later(Math.max(endOf(claims) - Date.now(), 0), () => tell("expired"));
      watchers.add(watcher);
      for (const subject of [claims.sid, claims.sub]) {
        bySubject.set(subject, (bySubject.get(subject) ?? new Set()).add(watcher));
      }
      // What has ended since it was verified.
      queueMicrotask(() => {
        const ending = watchers.has(watcher) && refusal(claims);
        if (ending) {
          tell(ending);
        }
      });
      return stop;
    },

    /** An entry has come, or what is about everyone. */
    look(entry?: Entry): void {
      const about = entry?.subject ? bySubject.get(entry.subject) : watchers;
      for (const { claims, tell } of [...(about ?? [])]) {
        const ending = refusal(claims);
        if (ending) {
          tell(ending);
        }
      }
    },

    /** Nobody is told any more. */
    stop(): void {
      watchers.forEach(({ stop }) => stop());
    },
  };
}
