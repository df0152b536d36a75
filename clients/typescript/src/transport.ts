import { GatelodgeProblem, read, unreachable } from "./problem.js";
import type { paths } from "./schema.js";

type Method = "get" | "post" | "put" | "patch" | "delete";
/** The paths that take a method. */
type PathOf<M extends Method> = {
  [P in keyof paths]: paths[P] extends Record<M, unknown> ? P : never;
}[keyof paths];

type Given<Operation, Place extends string> = Operation extends {
  parameters: { [place in Place]?: infer P };
}
  ? NonNullable<P>
  : never;
type Json<Part> = Part extends { content: { "application/json": infer J } } ? J : undefined;

/** What a list can be asked for. */
export type Query<P extends PathOf<"get">> = Given<paths[P]["get"], "query">;

/** What an operation is sent, by the service's description. */
type RequestOf<Operation> = (Operation extends { parameters: { path: infer Path } }
  ? { path: Path }
  : unknown) &
  (Operation extends { requestBody: infer Body } ? { body: Json<Body> } : unknown) & {
    query?: Omit<Given<Operation, "query">, "wait"> | undefined;
    wait?: Given<Operation, "query"> extends { wait?: infer Wait } ? Wait | undefined : never;
    signal?: AbortSignal | undefined;
  };

type Success = 200 | 201 | 202 | 204;
/** What it answers when all is well. */
type AnswerOf<Operation> = Operation extends { responses: infer Answers }
  ? { [Status in keyof Answers & Success]: Json<Answers[Status]> }[keyof Answers & Success]
  : never;

export type Send = <M extends Method, P extends PathOf<M>>(
  method: M,
  path: P,
  ...request: object extends RequestOf<paths[P][M]>
    ? [RequestOf<paths[P][M]>?]
    : [RequestOf<paths[P][M]>]
) => Promise<AnswerOf<paths[P][M]>>;

/** A request of any operation. */
interface AnyRequest {
  path?: Record<string, string>;
  query?: Record<string, unknown>;
  wait?: string;
  body?: unknown;
  signal?: AbortSignal;
}

/** How often at most a request is sent again. */
const REPEATS = 4;

/**
 * Sends requests, and again those that the service asks to be sent later: only what may be
 * done twice, and not beyond `patience`.
 */
export function transport(baseUrl: string, fetch: typeof globalThis.fetch, patience: number): Send {
  const once = async (method: Method, path: string, request: AnyRequest): Promise<unknown> => {
    const { body, signal } = request;
    try {
      const answer = await fetch(baseUrl + address(path, request), {
        method: method.toUpperCase(),
        credentials: "include",
        ...(body !== undefined && {
          headers: { "Content-Type": "application/json" },
          body: JSON.stringify(body),
        }),
        ...(signal && { signal }),
      });
      return await read(answer);
    } catch (error) {
      signal?.throwIfAborted();
      throw error instanceof GatelodgeProblem ? error : unreachable(error);
    }
  };

  const send = async (method: Method, path: string, request: AnyRequest = {}) => {
    const isRepeatable = mayBeDoneTwice(method, request);
    const end = Date.now() + patience;
    for (let repeats = 0; ; repeats += 1) {
      try {
        return await once(method, path, request);
      } catch (problem) {
        if (!(problem instanceof GatelodgeProblem)) {
          throw problem;
        }
        // What is not there any more has been ended by the request before.
        if (repeats > 0 && method === "delete" && path.endsWith("}") && problem.status === 404) {
          return undefined;
        }
        const pause = isRepeatable && repeats < REPEATS ? pauseAfter(problem, repeats) : undefined;
        if (pause === undefined || Date.now() + pause > end) {
          throw problem;
        }
        await sleep(pause, request.signal);
      }
    }
  };
  return send as Send;
}

/** A body can have a password in it, and to try that once more is one more attempt. */
const mayBeDoneTwice = (method: Method, { body }: AnyRequest): boolean =>
  method === "get" || method === "put" || (method === "delete" && body === undefined);

/** In milliseconds, and not the same for all who are asked to wait. */
function pauseAfter({ status, retryAfter }: GatelodgeProblem, repeats: number): number | undefined {
  if (status !== 429 && status !== 503) {
    return undefined;
  }
  const pause = retryAfter === undefined ? 250 * 2 ** repeats : retryAfter * 1000;
  return pause * (1 + Math.random() / 4);
}

function address(path: string, { path: names = {}, query, wait }: AnyRequest): string {
  const whole = path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(names[name] ?? ""));
  const given = Object.entries({ ...query, wait }).filter(([, value]) => value !== undefined);
  const search = new URLSearchParams(given.map(([name, value]) => [name, String(value)]));
  return given.length > 0 ? `${whole}?${search}` : whole;
}

function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
