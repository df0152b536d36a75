/** What a server sends in a stream (WHATWG HTML, 9.2.6). */
export interface StreamEvent {
  readonly type: string;
  readonly data: string;
}

/** No event of the service is nearly as long. */
const MAX_LENGTH = 65_536;

/** The events of a stream, as they come. What is not whole at its end is left out. */
export async function* eventsOf(
  body: NonNullable<Response["body"]>,
  signal: AbortSignal,
): AsyncGenerator<StreamEvent> {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  // So that no socket is left open, whether or not `fetch` has kept the signal.
  signal.addEventListener("abort", () => {
    reader.cancel(signal.reason).catch(() => {});
  });
  let rest = "";
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    const events = (rest + read.value).split(/\r?\n\r?\n/);
    rest = events.pop() ?? "";
    if (rest.length > MAX_LENGTH) {
      throw new Error("an event of the stream has no end");
    }
    yield* events.map(eventOf);
  }
}

function eventOf(text: string): StreamEvent {
  const fields = text.split(/\r?\n/).map((line) => /^([^:]*):? ?(.*)$/s.exec(line) ?? []);
  const all = (name: string) => fields.filter(([, field]) => field === name);
  const data = all("data").map(([, , value]) => value);
  return { type: all("event").at(-1)?.[2] ?? "message", data: data.join("\n") };
}
