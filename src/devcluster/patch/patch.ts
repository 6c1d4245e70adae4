import { badRequest } from '../api-error.ts';
import { isJsonObject, type Json, type JsonObject } from '../json.ts';
import { applyJsonPatch } from './json-patch.ts';
import { applyMergePatch } from './merge-patch.ts';
import { applyStrategicMergePatch } from './strategic-merge-patch.ts';

/** The kinds of patch, by media type. */
export type PatchType =
  'application/json-patch+json' | 'application/merge-patch+json' | 'application/strategic-merge-patch+json';

/** What a patch of an object of the type `typeName` does to it. Throws at once when it is no patch of its type. */
export function readPatch(typeName: string, type: PatchType, patch: Json): (document: JsonObject) => JsonObject {
  if (type === 'application/json-patch+json') return (document) => applyJsonPatch(document, patch);
  if (!isJsonObject(patch))
    throw badRequest(
      'error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}',
    );
  if (type === 'application/merge-patch+json') return (document) => applyMergePatch(document, patch);
  return (document) => applyStrategicMergePatch(typeName, document, patch);
}
