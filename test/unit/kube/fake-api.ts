import { ApiError } from '../../../src/kube/api-error.ts';
import type { ApiRequest, KubeApi, StreamRequest, ValueStream } from '../../../src/kube/api.ts';

type Answer = unknown;

/** An API server in memory: a test says what it answers; what it was asked is kept. */
export class FakeApi implements KubeApi {
  readonly requests: ApiRequest[] = [];
  readonly watches: FakeWatch[] = [];
  /** Thrown errors are the answer too. */
  answer: (request: ApiRequest) => Answer = () => ({});
  /** Throw to refuse a watch. */
  acceptWatch: (request: StreamRequest) => void = () => {};

  async request<T>(request: ApiRequest): Promise<T> {
    request.signal?.throwIfAborted();
    this.requests.push(request);
    return (await this.answer(request)) as T;
  }

  async stream<T>(request: StreamRequest): Promise<ValueStream<T>> {
    request.signal.throwIfAborted();
    this.acceptWatch(request);
    const watch = new FakeWatch(request);
    this.watches.push(watch);
    return watch as ValueStream<unknown> as ValueStream<T>;
  }

  get lastWatch(): FakeWatch {
    const watch = this.watches.at(-1);
    if (watch === undefined) throw new Error('there was no watch');
    return watch;
  }
}

export class FakeWatch implements ValueStream<unknown> {
  readonly request: StreamRequest;
  closed = false;
  readonly #steps: (() => unknown)[] = [];
  #wake = Promise.withResolvers<void>();
  #over = false;

  constructor(request: StreamRequest) {
    this.request = request;
    request.signal.addEventListener('abort', () => this.fail(request.signal.reason), { once: true });
  }

  send(type: string, object: unknown): void {
    this.#step(() => ({ type, object }));
  }

  fail(err: unknown): void {
    this.#step(() => {
      throw err;
    });
  }

  end(): void {
    this.#over = true;
    this.#wake.resolve();
  }

  async close(): Promise<void> {
    this.closed = true;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<unknown, void, undefined> {
    for (;;) {
      const step = this.#steps.shift();
      if (step !== undefined) yield step();
      else if (this.#over) return;
      else {
        await this.#wake.promise;
        this.#wake = Promise.withResolvers<void>();
      }
    }
  }

  #step(step: () => unknown): void {
    this.#steps.push(step);
    this.#wake.resolve();
  }
}

/** The error of a server that refuses with `httpStatus`. */
export function refusal(httpStatus: number, message = 'refused', retryAfterSeconds?: number): ApiError {
  return new ApiError('TEST /', httpStatus, { message }, retryAfterSeconds);
}
