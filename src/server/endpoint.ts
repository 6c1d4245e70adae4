import type { Request, Response } from 'express';

/** Answers one request, by hand or by throwing; a rejection is answered in one place (see `refusalOf`). */
export type Handler = (req: Request, res: Response) => void | Promise<void>;

/** One endpoint of the kubelet API. */
export interface Endpoint {
  /**
   * Where it lies, as Go's `http.ServeMux` says it: a pattern that ends in a slash is the tree below it, another is
   * that path alone. What lies under no pattern of any endpoint is unknown before authentication; what lies under
   * one is known only after it.
   */
  readonly patterns: readonly string[];
  /** Express paths that are answered; the rest of the tree is `404: Page Not Found`. */
  readonly paths: readonly string[];
  /** By method, in the order that `Allow` names them; another is 405. A single handler answers to every method. */
  readonly methods: Handler | Readonly<Record<string, Handler>>;
}

/** The query of a request. Its values are as the client sent them, percent-decoded. */
export function queryOf(req: Request): URLSearchParams {
  const at = req.url.indexOf('?');
  return new URLSearchParams(at < 0 ? '' : req.url.slice(at + 1));
}

/** A path parameter that the endpoint's path always has. */
export function pathParameter(req: Request, name: string): string {
  const value = req.params[name];
  return typeof value === 'string' ? value : '';
}

/** Aborted when the client leaves before its answer is complete. */
export function clientGone(res: Response): AbortSignal {
  const gone = new AbortController();
  res.once('close', () => {
    if (!res.writableFinished) gone.abort(new Error('the client closed the connection'));
  });
  return gone.signal;
}
