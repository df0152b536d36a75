import type { FieldError, Problem, ProblemCode } from "./schema.js";

/**
 * What the service says; and `unreachable` if nobody has answered to the end, or
 * `foreign_answer` if somebody else has, such as a proxy with a page of its own. A later
 * version of the service may say more.
 */
export type Code = ProblemCode | "unreachable" | "foreign_answer" | (string & {});

/** Everything that a call can fail with, but for an abort by its own signal. */
export class GatelodgeProblem extends Error {
  override readonly name = "GatelodgeProblem";
  /** What to go by. */
  readonly code: Code;
  /** The answer's status; 0 if there was none. */
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  /** The mistakes in what was sent; with `invalid_input`. */
  readonly errors: readonly FieldError[];
  /** After how many seconds to ask again, if the answer says so. */
  readonly retryAfter: number | undefined;

  constructor(
    problem: Omit<Problem, "type" | "code"> & { code: Code },
    options: { retryAfter?: number | undefined; cause?: unknown } = {},
  ) {
    super(problem.detail, "cause" in options ? { cause: options.cause } : undefined);
    this.code = problem.code;
    this.status = problem.status;
    this.title = problem.title;
    this.detail = problem.detail;
    this.errors = problem.errors ?? [];
    this.retryAfter = options.retryAfter;
  }

  /** What is wrong with a field, for the form that shows it. */
  errorOf(field: string): string | undefined {
    return this.errors.find((error) => error.field === field)?.message;
  }
}

export const unreachable = (cause: unknown): GatelodgeProblem =>
  new GatelodgeProblem(
    {
      code: "unreachable",
      status: 0,
      title: "Unreachable",
      detail: "The service cannot be reached.",
    },
    { cause },
  );

/** What an answer says, or the problem that it is. */
export async function read(answer: Response): Promise<unknown> {
  if (answer.status === 204) {
    return undefined;
  }
  const said = await json(answer);
  if (answer.ok && said !== undefined) {
    return said;
  }
  const retryAfter = secondsUntil(answer.headers.get("retry-after"));
  throw new GatelodgeProblem(isProblem(said) ? said : foreign(answer.status), { retryAfter });
}

/** Nothing, unless it says that it is JSON and is. */
async function json(answer: Response): Promise<unknown> {
  if (!/^application\/(problem\+)?json\b/.test(answer.headers.get("content-type") ?? "")) {
    return undefined;
  }
  const text = await answer.text();
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const isProblem = (said: unknown): said is Problem =>
  typeof said === "object" && said !== null && "code" in said && "status" in said;

const foreign = (status: number) => ({
  code: "foreign_answer",
  status,
  title: "Foreign answer",
  detail: `Something other than the service has answered, with ${status}.`,
});

/** `Retry-After` is a number of seconds, or a date (RFC 9110, 10.2.3). */
function secondsUntil(header: string | null): number | undefined {
  if (header === null) {
    return undefined;
  }
  const seconds = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1000;
  return Number.isNaN(seconds) ? undefined : Math.max(0, Math.ceil(seconds));
}
