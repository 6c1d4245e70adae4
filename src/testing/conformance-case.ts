/**
 * One thing that a contract asks for. Hand each to any test runner:
 * `for (const { name, run } of podProviderConformance(subject)) it(name, run)`.
 */
export interface ConformanceCase {
  readonly name: string;
  /** Rejects with an `AssertionError` that says what was expected. */
  readonly run: () => Promise<void>;
}

/** `promise`, or a rejection that says what did not happen in time. */
export async function within<T>(promise: Promise<T>, what: string, timeoutMs = 10_000): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took longer than ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
