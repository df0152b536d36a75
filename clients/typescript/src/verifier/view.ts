import type { Claims } from "./jwt.js";

const KINDS = ["session_ended", "user_ended", "user_changed", "everyone_ended"] as const;
/** What the log records; of what a later version records, only that it does. */
export type Kind = (typeof KINDS)[number] | "unknown_entry";

/**
 * Why the log refuses a JWT: by an entry since it was minted; because the log was set back,
 * and what was minted before that, or speaks of what there is no more, is not believed; or
 * because entries since then are not in view any more.
 */
export type LogReason = Kind | "log_set_back" | "out_of_view";

/** An entry's place in the log, and its random mark: another log has another one there. */
export interface Position {
  readonly number: number;
  readonly mark: string;
}

/** A line of the log. */
export interface Entry extends Position {
  readonly kind: Kind;
  /** The session or the user that it is about; of all others, empty. */
  readonly subject: string;
  readonly spared: string | null;
}

/** What is kept of each entry: as much of its mark as a JWT says, and what it is about. */
interface Line {
  readonly mark: string;
  readonly key: string;
  readonly heard: number;
}

/**
 * The entries of one kind about one subject: the latest, whom it spares, and the latest that
 * does not spare that one.
 */
interface Cutoff {
  readonly number: number;
  readonly spared: string | null;
  readonly notSparing: number;
}

/** How long what the log says is kept: as long as a JWT can live, and a minute for clocks. */
const MEMORY = 16 * 60_000;
/** For how many milliseconds it counts at most that there was nothing else. */
const LEASE = 5000;
/** A head that was said so many milliseconds after a JWT was minted has what that speaks of. */
const LAG = 5000;
const NEVER = { elapsed: -Infinity, clock: -Infinity };

export const isKind = (kind: unknown): kind is Kind => KINDS.some((known) => known === kind);

export type View = ReturnType<typeof createView>;

/**
 * What is known of the revocation log: all after its floor, up to its end. Order is by number,
 * never by time.
 */
export function createView(capacity = 1_000_000) {
  /** By their numbers, from the floor itself to the end, without a gap. */
  const lines = new Map<number, Line>();
  const cutoffs = new Map<string, Cutoff>();
  let floor = 0;
  let reached: Position | undefined;
  let believedFrom = -Infinity;
  /** When, by the service's clock, the log had nothing else. */
  let vouchedAt = -Infinity;
  let vouchedUntil = NEVER;

  const end = () => floor + lines.size - 1;

  const take = ({ number, mark }: Position, key: string) => {
    lines.set(number, { mark: mark.slice(0, 8), key, heard: performance.now() });
    reached = { number, mark };
  };

  /** What is not known is not believed, so that the floor rises with what is forgotten. */
  const forget = () => {
    const now = performance.now();
    for (;;) {
      const oldest = lines.get(floor + 1);
      if (!oldest || (lines.size - 1 <= capacity && now - oldest.heard <= MEMORY)) {
        return;
      }
      lines.delete(floor);
      floor += 1;
      if (cutoffs.get(oldest.key)?.number === floor) {
        cutoffs.delete(oldest.key);
      }
    }
  };

  return {
    /** From where the log is to be heard; if that is not known, from wherever it begins. */
    reached: () => reached,

    /** The log is not the one that is known, which is gone by until the new one is. */
    lose(): void {
      reached = undefined;
      vouchedUntil = NEVER;
    },

    /**
     * The log is heard from there. If it is not for the first time, it was set back: nothing
     * from before then, by the service's clock, is believed.
     */
    begin(position: Position, at: number): void {
      if (lines.size > 0) {
        believedFrom = Math.max(believedFrom, at);
      }
      lines.clear();
      cutoffs.clear();
      vouchedUntil = NEVER;
      floor = position.number;
      take(position, "");
    },

    record({ kind, subject, spared, ...position }: Entry): void {
      const key = `${kind} ${subject}`;
      const before = cutoffs.get(key);
      const notSparing = before?.spared === spared ? before.notSparing : (before?.number ?? 0);
      cutoffs.set(key, { number: position.number, spared, notSparing });
      take(position, key);
      forget();
    },

    /**
     * So many milliseconds ago, and at that time by the service's clock, there was nothing
     * else; that could be relied on for so many.
     */
    vouch(at: number, ago: number, lasts = LEASE): void {
      const rest = Math.min(lasts, LEASE) - ago;
      vouchedAt = at;
      vouchedUntil = { elapsed: performance.now() + rest, clock: Date.now() + rest };
      forget();
    },

    /** By whichever clock is faster: one counts sleep, the other cannot be set. */
    isCurrent: (): boolean =>
      performance.now() < vouchedUntil.elapsed && Date.now() < vouchedUntil.clock,

    /** Whether a JWT speaks of what is still to be heard. */
    isAhead: ({ rev }: Claims): boolean => Number.parseInt(rev) > end(),

    /** Why a JWT is refused, if it is. */
    refusal({ sid, sub, rev, iat }: Claims): LogReason | undefined {
      // Whatever it speaks of: what has ended does not live again.
      if (cutoffs.has(`session_ended ${sid}`)) {
        return "session_ended";
      }
      const [number, mark] = [Number.parseInt(rev), rev.slice(rev.indexOf("-") + 1)];
      if (iat * 1000 < believedFrom) {
        return "log_set_back";
      }
      if (number < floor) {
        return "out_of_view";
      }
      const line = lines.get(number);
      if (line ? line.mark !== mark : vouchedAt - iat * 1000 >= LAG) {
        return "log_set_back";
      }
      const ends = (kind: Kind, subject: string) => {
        const cutoff = cutoffs.get(`${kind} ${subject}`);
        return cutoff && number < (cutoff.spared === sid ? cutoff.notSparing : cutoff.number);
      };
      const about: [Kind, string][] = [
        ["user_ended", sub],
        ["user_changed", sub],
        ["everyone_ended", ""],
        ["unknown_entry", ""],
      ];
      return about.find(([kind, subject]) => ends(kind, subject))?.[0];
    },
  };
}
