import type { RequestHandler } from 'express';

import type { Endpoint } from './endpoint.ts';
import { goError } from './refusal.ts';

/** What Go's `http.ServeMux` makes of a path, given its patterns. */
export type Match = 'known' | 'redirect' | 'unknown';

/** `/a` matches itself; `/a/` matches everything below and makes `/a` a redirect, unless that is a pattern of its own. */
export function matchPattern(patterns: ReadonlySet<string>, path: string): Match {
  if (patterns.has(path)) return 'known';
  for (let slash = path.lastIndexOf('/'); slash > 0; slash = path.lastIndexOf('/', slash - 1)) {
    if (patterns.has(path.slice(0, slash + 1))) return 'known';
  }
  return patterns.has(`${path}/`) ? 'redirect' : 'unknown';
}

/** Answers what no endpoint could: 404 to unknown paths and the redirect to the slash, both before authentication. */
export function mux(endpoints: readonly Endpoint[]): RequestHandler {
  const patterns = new Set(endpoints.flatMap((endpoint) => endpoint.patterns));
  return (req, res, next) => {
    const match = matchPattern(patterns, req.path);
    if (match === 'known') return next();
    if (match === 'unknown') throw goError(404, '404 page not found');
    const location = `${req.path}/${req.url.slice(req.path.length)}`;
    res.statusCode = 307;
    res.setHeader('Location', location);
    if (req.method !== 'GET' && req.method !== 'HEAD') return void res.end();
    res.setHeader('Content-Type', 'text/html; charset=utf-8');
    res.end(`<a href="${escapeHtml(location)}">Temporary Redirect</a>.\n\n`);
  };
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
