import { GatelodgeProblem, read, unreachable } from "../problem.js";
import { attended, later } from "./attended.js";
import { eventsOf } from "./events.js";
import { type Entry, isKind, type Position, type View } from "./view.js";

/** Who has sent nothing for so long is left for another instance, or for a new try. */
const SILENCE = 3000;
/** What comes so late is of no use: there may be a faster way. */
const LATE = 5000;
/** The first and the longest pause between two tries. */
const PAUSES = [250, 4000] as const;

export interface FeedOptions {
  readonly address: string;
  readonly credential: string;
  readonly view: View;
  /** When an entry has come, or the log is begun anew, which is about everyone. */
  readonly onEntry: (entry?: Entry) => void;
  /** When the view is current, once a second. */
  readonly onVouched: () => void;
  readonly onTrouble: (trouble: unknown) => void;
  readonly unwanted: AbortSignal;
}

/**
 * When a stream was asked for, and what time it then was over there, or later. What is said
 * there so much later was said at least so much later here: neither how long it was under way
 * nor whose clock is right is of any importance.
 */
interface Origin {
  readonly asked: number;
  readonly at: number;
}

/** Keeps the view at what the service's log says (`GET /api/revocations`), until unwanted. */
export async function follow(options: FeedOptions): Promise<void> {
  const { view, onEntry, onVouched, onTrouble, unwanted } = options;
  let failures = 0;
  let origin: Origin = { asked: -Infinity, at: 0 };

  const takes = new Map<string, (said: Said) => void>([
    [
      "window",
      (said) => {
        const [after, at] = [positionOf(said, "after"), time(said["at"])];
        const reached = view.reached();
        origin = { ...origin, at };
        if (!reached || idOf(after) !== idOf(reached)) {
          view.begin(after, at);
          onEntry();
        }
      },
    ],
    [
      "entry",
      (said) => {
        const [entry, reached] = [entryOf(said), view.reached()?.number];
        if (reached === undefined || entry.number !== reached + 1) {
          throw new Error(`the feed goes from ${reached} to ${entry.number}`);
        }
        view.record(entry);
        onEntry(entry);
      },
    ],
    [
      "head",
      (said) => {
        const [head, reached] = [positionOf(said), view.reached()];
        if (!reached || idOf(head) !== idOf(reached)) {
          throw new Error(`the feed is at ${reached?.number}, and its head at ${head.number}`);
        }
        const [at, { lasts_ms: lasts }] = [time(said["at"]), said];
        const saidAt = origin.asked + at - origin.at;
        const ago = Math.max(performance.now() - saidAt, 0);
        if (ago > LATE) {
          throw new Error(`what the feed says is ${ago} ms old`);
        }
        view.vouch(at, ago, lasts === undefined ? undefined : natural(lasts));
        failures = 0;
        onVouched();
      },
    ],
  ]);

  const listen = (): Promise<void> =>
    attended(unwanted, SILENCE, async (signal, heard) => {
      const reached = view.reached();
      origin = { asked: performance.now(), at: 0 };
      const headers = {
        Accept: "text/event-stream",
        Authorization: `Bearer ${options.credential}`,
        ...(reached && { "Last-Event-ID": idOf(reached) }),
      };
      const request = { headers, signal, redirect: "error" } as const;
      const answer = await fetch(options.address, request).catch((cause: unknown) => {
        throw unreachable(cause);
      });
      if (answer.status === 410 && reached) {
        view.lose();
        return;
      }
      const isStream = answer.headers.get("content-type")?.startsWith("text/event-stream");
      if (!answer.ok || !isStream || !answer.body) {
        await read(answer);
        throw new Error("the feed is no stream");
      }
      for await (const { type, data } of eventsOf(answer.body, signal)) {
        const take = takes.get(type);
        if (take) {
          heard();
          take(parsed(data));
        }
      }
    });

  while (!unwanted.aborted) {
    try {
      await listen();
    } catch (trouble) {
      if (!unwanted.aborted) {
        onTrouble(trouble);
      }
    }
    await pause(Math.min(PAUSES[0] * 2 ** failures, PAUSES[1]), unwanted);
    failures += 1;
  }
}

/** Whether trying again is in vain: the credential is none. */
export const isRefused = (trouble: unknown): trouble is GatelodgeProblem =>
  trouble instanceof GatelodgeProblem && (trouble.status === 401 || trouble.status === 403);

/** Not the same for all who have lost the same instance. */
function pause(milliseconds: number, unwanted: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const go = () => {
      callOff();
      unwanted.removeEventListener("abort", go);
      resolve();
    };
    const callOff = later(milliseconds * Math.random(), go);
    unwanted.addEventListener("abort", go);
  });
}

const idOf = ({ number, mark }: Position): string => `${number}-${mark}`;

type Said = Record<string, unknown>;

function entryOf(said: Said): Entry {
  const { kind: given, session, user, spared } = said;
  const kind = isKind(given) ? given : "unknown_entry";
  const subject = kind === "session_ended" ? session : kind.startsWith("user_") ? user : "";
  return {
    ...positionOf(said),
    kind,
    subject: text(subject),
    spared: spared ? text(spared) : null,
  };
}

function positionOf({ mark, ...said }: Said, name = "number"): Position {
  const isMark = typeof mark === "string" && /^[\da-f]{32}$/.test(mark);
  return { number: natural(said[name]), mark: isMark ? mark : incomprehensible(mark) };
}

function parsed(data: string): Said {
  const said: unknown = JSON.parse(data);
  return typeof said === "object" && said !== null ? (said as Said) : incomprehensible(said);
}

const natural = (value: unknown): number =>
  Number.isSafeInteger(value) ? (value as number) : incomprehensible(value);

const text = (value: unknown): string =>
  typeof value === "string" ? value : incomprehensible(value);

const time = (value: unknown): number => {
  const milliseconds = Date.parse(text(value));
  return Number.isNaN(milliseconds) ? incomprehensible(value) : milliseconds;
};

function incomprehensible(value: unknown): never {
  throw new Error(`the feed says ${String(value)}`);
}
