import type { Claims } from "./jwt.js";

const KINDS = ["session_ended", "user_ended", "user_changed", "everyone_ended"] as const;
/** What the log records; of what a later version records, only that it does. */
export type Kind = (typeof KINDS)[number] | "unknown_entry";

/**
 * Why the log refuses a JWT: by an entry since it was minted; because the log was set back,
 * and what was minted before that is not believed; or because entries since then are not in
 * view any more.
 */
export type LogReason = Kind | "log_set_back" | "out_of_view";

/** A place in the log, and which log it is, if that has been said. */
export interface Position {
  readonly number: number;
  readonly mark: string | undefined;
}

/** A line of the log. */
export interface Entry extends Position {
  readonly kind: Kind;
  /** The session or the user that it is about; of all others, empty. */
  readonly subject: string;
  readonly spared: string | null;
}

/**
 * The entries of one kind about one subject: the latest, whom it spares, and the latest that
 * does not spare that one.
 */
interface Cutoff {
  readonly number: number;
  readonly spared: string | null;
  readonly notSparing: number;
  readonly heard: number;
}

/** How long what the log says is kept: as long as a JWT can live, and a minute for clocks. */
const MEMORY = 16 * 60_000;
/** For how many milliseconds it counts at most that there was nothing else. */
const LEASE = 5000;
const NEVER = { elapsed: -Infinity, clock: -Infinity };

export const isKind = (kind: unknown): kind is Kind => KINDS.some((known) => known === kind);

export type View = ReturnType<typeof createView>;

/**
 * What is known of the revocation log: all after its floor, up to what it has reached. Order
 * is by number, never by time.
 */
export function createView(capacity = 1_000_000) {
  const cutoffs = new Map<string, Cutoff>();
  let floor = 0;
  let reached: Position | undefined;
  let hasBegun = false;
  let believedFrom = 0;
  let vouchedUntil = NEVER;

  /** What is not known is not believed, so that the floor rises with what is forgotten. */
  const forget = () => {
    const now = performance.now();
    for (const [key, { number, heard }] of cutoffs) {
      if (cutoffs.size <= capacity && now - heard <= MEMORY) {
        return;
      }
      cutoffs.delete(key);
      floor = number;
    }
  };

  /** What is known is of a log that there is no more: nothing from before then is believed. */
  const setBack = (at: number) => {
    cutoffs.clear();
    reached = undefined;
    believedFrom = Math.max(believedFrom, at);
    vouchedUntil = NEVER;
  };

  return {
    reached: () => reached,

    setBack,

    /** The log is heard from there. If it is not for the first time, it was set back. */
    begin(position: Position, at: number): void {
      if (hasBegun) {
        setBack(at);
      }
      hasBegun = true;
      floor = position.number;
      reached = position;
    },

    record({ number, mark, kind, subject, spared }: Entry): void {
      const key = `${kind} ${subject}`;
      const before = cutoffs.get(key);
      const notSparing = before?.spared === spared ? before.notSparing : (before?.number ?? 0);
      // At the end, since the oldest are forgotten first.
      cutoffs.delete(key);
      cutoffs.set(key, { number, spared, notSparing, heard: performance.now() });
      reached = { number, mark };
      forget();
    },

    /** So many milliseconds ago there was nothing else, and that could be relied on for so many. */
    vouch(position: Position, ago: number, lasts = LEASE): void {
      const rest = Math.min(lasts, LEASE) - ago;
      reached = position;
      vouchedUntil = { elapsed: performance.now() + rest, clock: Date.now() + rest };
      forget();
    },

    /** By whichever clock is faster: one counts sleep, the other cannot be set. */
    isCurrent: (): boolean =>
      performance.now() < vouchedUntil.elapsed && Date.now() < vouchedUntil.clock,

    /** Why a JWT is refused, if it is. */
    refusal({ sid, sub, rev, iat }: Claims): LogReason | undefined {
      if (iat * 1000 < believedFrom) {
        return "log_set_back";
      }
      if (rev < floor) {
        return "out_of_view";
      }
      const ends = (kind: Kind, subject: string) => {
        const cutoff = cutoffs.get(`${kind} ${subject}`);
        return cutoff && rev < (cutoff.spared === sid ? cutoff.notSparing : cutoff.number);
      };
      const about: [Kind, string][] = [
        ["session_ended", sid],
        ["user_ended", sub],
        ["user_changed", sub],
        ["everyone_ended", ""],
        ["unknown_entry", ""],
      ];
      return about.find(([kind, subject]) => ends(kind, subject))?.[0];
    },
  };
}
