/** Does something later, if the process has not ended by then. Gives how to call it off. */
export function later(milliseconds: number, act: () => void): () => void {
  const timer: unknown = setTimeout(act, milliseconds);
  (timer as { unref(): void }).unref();
  return () => clearTimeout(timer as number);
}

/**
 * Does something that ends when nothing has been heard of it for so many milliseconds, or
 * when nobody wants it any more. Nothing of it stays open.
 */
export async function attended<T>(
  unwanted: AbortSignal,
  patience: number,
  act: (signal: AbortSignal, heard: () => void) => Promise<T>,
): Promise<T> {
  const control = new AbortController();
  const stop = () => control.abort(unwanted.reason);
  const silent = () => control.abort(new Error(`nothing was heard for ${patience} ms`));
  let callOff = later(patience, silent);
  const heard = () => {
    callOff();
    callOff = later(patience, silent);
  };
  unwanted.addEventListener("abort", stop);
  try {
    unwanted.throwIfAborted();
    // The signal alone is not enough: `fetch` may miss it once its request is collected.
    const stopped = new Promise<never>((_, reject) => {
      control.signal.addEventListener("abort", () => reject(control.signal.reason));
    });
    return await Promise.race([act(control.signal, heard), stopped]);
  } finally {
    callOff();
    unwanted.removeEventListener("abort", stop);
    control.abort();
  }
}
