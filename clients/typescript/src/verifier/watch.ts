import { later } from "./attended.js";
import { type Claims, endOf } from "./jwt.js";
import type { Entry, LogReason, View } from "./view.js";

/** Why a JWT is no good any more. */
export type Ending = LogReason | "expired";

interface Watcher {
  readonly claims: Claims;
  readonly tell: (ending: Ending) => void;
  readonly stop: () => void;
}

/** Tells whoever lets something go on by a JWT when that is no good any more. */
export function createWatch(
  { refusal, isAhead }: Pick<View, "refusal" | "isAhead">,
  onTrouble: (trouble: unknown) => void,
) {
  const watchers = new Set<Watcher>();
  /** By the ids of the session and of the user. */
  const bySubject = new Map<string, Set<Watcher>>();
  /** Whose JWT speaks of what is still to be heard: any news may be about them. */
  const ahead = new Set<Watcher>();

  const check = (some: Iterable<Watcher>) => {
    for (const watcher of [...some]) {
      // Who was told may have stopped others.
      const ending = watchers.has(watcher) && refusal(watcher.claims);
      if (ending) {
        watcher.tell(ending);
      } else if (watchers.has(watcher) && isAhead(watcher.claims)) {
        ahead.add(watcher);
      } else {
        ahead.delete(watcher);
      }
    }
  };

  return {
    on(claims: Claims, listener: (ending: Ending) => void): () => void {
      const stop = () => {
        callOff();
        watchers.delete(watcher);
        ahead.delete(watcher);
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
      queueMicrotask(() => check([watcher]));
      return stop;
    },

    /** An entry has come, or what is about everyone. */
    look(entry?: Entry): void {
      check((entry?.subject ? bySubject.get(entry.subject) : watchers) ?? []);
      check(ahead);
    },

    /** It was said that there is nothing else. */
    lookAhead: (): void => check(ahead),

    /** Nobody is told any more. */
    stop(): void {
      watchers.forEach(({ stop }) => stop());
    },
  };
}
