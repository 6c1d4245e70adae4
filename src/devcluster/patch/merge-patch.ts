import { isJsonObject, type Json, type JsonObject } from '../json.ts';

/** Applies an RFC 7386 JSON Merge Patch to a copy of `document`. */
export function applyMergePatch(document: JsonObject, patch: JsonObject): JsonObject {
  return merge(document, patch) as JsonObject;
}

function merge(target: Json | undefined, patch: Json): Json {
  if (!isJsonObject(patch)) return structuredClone(patch);
  const result: JsonObject = isJsonObject(target) ? { ...target } : {};
  for (const key of Object.keys(patch)) {
    const value = patch[key] as Json;
    if (value === null) delete result[key];
    else result[key] = merge(result[key], value);
  }
  return result;
}
