import type { Identity } from "./schema.js";

/**
 * Who is logged in, as far as is known. `unknown` is not logged out: nobody could tell yet.
 * What is known stays so while the service cannot be reached.
 */
export type Who =
  | { readonly state: "unknown" }
  | { readonly state: "logged_out" }
  | ({ readonly state: "logged_in" } & Readonly<Identity>);

export const LOGGED_OUT: Who = { state: "logged_out" };

/** Names what was known when a request was sent: a late answer to it changes nothing. */
export type Era = number;

/**
 * Keeps who is logged in, for whoever looks. While somebody does, in a browser, it asks
 * again when the page is seen again and when another tab has logged in or out.
 */
export function createWho(channelName: string, ask: () => Promise<unknown>) {
  let who: Who = { state: "unknown" };
  let era: Era = 0;
  let stopWatching = () => {};
  let tellOthers = () => {};
  const listeners = new Set<() => void>();

  const set = (next: Who) => {
    who = next;
    listeners.forEach((listener) => listener());
  };
  const refresh = () => void ask().catch(() => {});
  const whenSeen = () => {
    if (document.visibilityState === "visible") {
      refresh();
    }
  };

  const watch = () => {
    if (who.state === "unknown") {
      refresh();
    }
    if (typeof document === "undefined") {
      return;
    }
    const others = new BroadcastChannel(channelName);
    others.onmessage = refresh;
    tellOthers = () => others.postMessage("changed");
    document.addEventListener("visibilitychange", whenSeen);
    stopWatching = () => {
      others.close();
      tellOthers = () => {};
      document.removeEventListener("visibilitychange", whenSeen);
    };
  };

  return {
    get: () => who,
    subscribe(listener: () => void): () => void {
      listeners.add(listener);
      if (listeners.size === 1) {
        watch();
      }
      return () => {
        if (listeners.delete(listener) && listeners.size === 0) {
          stopWatching();
        }
      };
    },
    era: () => era,
    /** It is so because this page did it. */
    become(next: Who): void {
      era += 1;
      set(next);
      tellOthers();
    },
    /** It was so when it was asked. */
    learn(next: Who, asked: Era): void {
      if (asked === era) {
        set(next);
      }
    },
    /** The session is another one now. */
    renew(): void {
      era += 1;
      tellOthers();
      refresh();
    },
    /** The session has ended; says whether that is news. */
    end(asked: Era): boolean {
      if (asked !== era) {
        return false;
      }
      era += 1;
      set(LOGGED_OUT);
      return true;
    },
  };
}
