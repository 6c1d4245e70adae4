import type { ApiObject } from './api-object.ts';

const encoded = new WeakMap<ApiObject, string>();

/** The JSON of a stored object. Stored objects never change, so each is written out once however often it is sent. */
export function encodeObject(object: ApiObject): string {
  let text = encoded.get(object);
  if (text === undefined) encoded.set(object, (text = JSON.stringify(object)));
  return text;
}

/** A list: its items carry neither kind nor apiVersion, as the API server's do not. */
export function encodeList(kind: string, apiVersion: string, metadata: object, items: readonly ApiObject[]): string {
  // Stored objects begin with these two fields (see `finished` in draft.ts).
  const prefix = `{"kind":${JSON.stringify(kind)},"apiVersion":${JSON.stringify(apiVersion)},`;
  const texts = items.map((item) => `{${encodeObject(item).slice(prefix.length)}`);
  return `{"kind":"${kind}List","apiVersion":"${apiVersion}","metadata":${JSON.stringify(metadata)},"items":[${texts.join(',')}]}`;
}
