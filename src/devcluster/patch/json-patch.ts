import { badRequest, unprocessable } from '../api-error.ts';
import { equalJson, isJsonObject, type Json, type JsonObject } from '../json.ts';

/** Applies an RFC 6902 JSON Patch to a copy of `document`. A patch that does not fit the document is a 422. */
export function applyJsonPatch(document: JsonObject, patch: Json): JsonObject {
  if (!Array.isArray(patch))
    throw badRequest(
      'error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp',
    );
  let result: Json = structuredClone(document);
  for (const step of patch) {
    if (!isJsonObject(step) || typeof step['op'] !== 'string' || typeof step['path'] !== 'string')
      throw unprocessable();
    result = applyStep(result, step['op'], pointer(step['path']), step);
  }
  if (!isJsonObject(result)) throw unprocessable();
  return result;
}

function applyStep(document: Json, op: string, path: readonly string[], step: JsonObject): Json {
  switch (op) {
    case 'add':
      return put(document, path, required(step), 'add');
    case 'replace':
      return put(document, path, required(step), 'replace');
    case 'remove':
      take(document, path);
      return document;
    case 'move': {
      const value = take(document, fromOf(step));
      return put(document, path, value, 'add');
    }
    case 'copy':
      return put(document, path, structuredClone(get(document, fromOf(step))), 'add');
    case 'test':
      // A field that is absent equals null, as in the library that the API server uses.
      if (!equalJson(path.length === 0 ? document : (find(document, path) ?? null), step['value'] ?? null))
        throw unprocessable();
      return document;
    default:
      throw unprocessable();
  }
}

function required(step: JsonObject): Json {
  if (step['value'] === undefined) throw unprocessable();
  return structuredClone(step['value']);
}

function fromOf(step: JsonObject): string[] {
  if (typeof step['from'] !== 'string') throw unprocessable();
  return pointer(step['from']);
}

function pointer(text: string): string[] {
  if (text === '') return [];
  if (!text.startsWith('/')) throw unprocessable();
  return text
    .slice(1)
    .split('/')
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function find(document: Json, path: readonly string[]): Json | undefined {
  let at: Json | undefined = document;
  for (const token of path) {
    if (Array.isArray(at)) at = at[Number(token)];
    else if (isJsonObject(at) && Object.hasOwn(at, token)) at = at[token];
    else return undefined;
  }
  return at;
}

function get(document: Json, path: readonly string[]): Json {
  const value = find(document, path);
  if (value === undefined) throw unprocessable();
  return value;
}

function put(document: Json, path: readonly string[], value: Json, op: 'add' | 'replace'): Json {
  if (path.length === 0) return value;
  const parent = get(document, path.slice(0, -1));
  const token = path.at(-1) as string;
  if (Array.isArray(parent)) {
    if (op === 'replace') parent[indexIn(parent, token, parent.length - 1)] = value;
    else parent.splice(token === '-' ? parent.length : indexIn(parent, token, parent.length), 0, value);
  } else if (isJsonObject(parent)) {
    if (op === 'replace' && !Object.hasOwn(parent, token)) throw unprocessable();
    define(parent, token, value);
  } else throw unprocessable();
  return document;
}

function take(document: Json, path: readonly string[]): Json {
  if (path.length === 0) throw unprocessable();
  const parent = get(document, path.slice(0, -1));
  const token = path.at(-1) as string;
  if (Array.isArray(parent)) return parent.splice(indexIn(parent, token, parent.length - 1), 1)[0] as Json;
  if (!isJsonObject(parent) || !Object.hasOwn(parent, token)) throw unprocessable();
  const value = parent[token] as Json;
  delete parent[token];
  return value;
}

function indexIn(list: readonly Json[], token: string, last: number): number {
  const index = Number(token);
  if (!/^(0|[1-9]\d*)$/.test(token) || index > last) throw unprocessable();
  return index;
}

/** Sets a field even when it is called `__proto__`. */
function define(target: JsonObject, key: string, value: Json): void {
  Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true });
}
