import type { IncomingMessage } from 'node:http';

import { badRequest, tooLarge, unsupportedMediaType } from '../api-error.ts';
import { isJsonObject, type Json, type JsonObject } from '../json.ts';

/** As much as the API server takes. */
const limitBytes = 3 * 1024 * 1024;

export const patchTypes = [
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
] as const;

/** The media type without parameters; JSON when nothing is said. */
export function contentType(request: IncomingMessage): string {
  return (request.headers['content-type'] ?? 'application/json').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

/** The whole body, undefined when it is empty. A body that is too large ends the reading at once. */
export async function readBody(request: IncomingMessage): Promise<string | undefined> {
  if (Number(request.headers['content-length'] ?? 0) > limitBytes) throw tooLarge(limitBytes);
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > limitBytes) throw tooLarge(limitBytes);
    chunks.push(chunk);
  }
  return size === 0 ? undefined : Buffer.concat(chunks).toString();
}

export function parseJson(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    throw badRequest(`json parse error: ${(error as Error).message}`);
  }
}

/** The object in the body of a create or an update. */
export async function readObject(request: IncomingMessage): Promise<JsonObject> {
  if (contentType(request) !== 'application/json') throw unsupportedMediaType(['application/json']);
  const text = (await readBody(request)) ?? '';
  const value = parseJson(text);
  if (!isJsonObject(value))
    throw badRequest(`the object provided is unrecognized: couldn't get version/kind: ${text.slice(0, 100)}`);
  return value;
}
