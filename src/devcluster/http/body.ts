import type { IncomingMessage } from 'node:http';

import { badRequest, tooLarge, unsupportedMediaType } from '../api-error.ts';
import { isJsonObject, type Json, type JsonObject } from '../json.ts';
import { decodeProtobuf } from '../schema/protobuf.ts';
import { parseYaml, YamlSyntaxError } from './yaml.ts';

/** As much as the API server takes. */
const limitBytes = 3 * 1024 * 1024;

/** What the body of a create or an update may be. CBOR is not among them, as in the API server by default. */
const objectTypes = ['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf'] as const;

export const patchTypes = [
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
] as const;

/** The media type of a server-side apply; its body is YAML or JSON. */
export const applyType = 'application/apply-patch+yaml';

/** An object and what is odd about how it was written. */
export interface ObjectBody {
  readonly object: JsonObject;
  /** What a strict reading would refuse: repeated keys in YAML. */
  readonly oddities: readonly string[];
}

/** The media type without parameters; JSON when nothing is said. */
export function contentType(request: IncomingMessage): string {
  return (request.headers['content-type'] ?? 'application/json').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

/** The whole body, undefined when it is empty. A body that is too large ends the reading at once. */
export async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  if (Number(request.headers['content-length'] ?? 0) > limitBytes) throw tooLarge(limitBytes);
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > limitBytes) throw tooLarge(limitBytes);
    chunks.push(chunk);
  }
  return size === 0 ? undefined : Buffer.concat(chunks);
}

function parseJson(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    throw badRequest(`json parse error: ${(error as Error).message}`);
  }
}

/** The object in the body of a create, an update or a delete, of the kind `expected` if the sender says nothing. */
export async function readObject(request: IncomingMessage, expected?: string): Promise<JsonObject> {
  return (await readObjectBody(request, expected)).object;
}

/** The same with what is odd about it. */
export async function readObjectBody(request: IncomingMessage, expected?: string): Promise<ObjectBody> {
  const type = objectTypes.find((known) => known === contentType(request));
  if (type === undefined) throw unsupportedMediaType(objectTypes);
  const body = (await readBody(request)) ?? Buffer.alloc(0);
  if (type === 'application/vnd.kubernetes.protobuf') return { object: decodeProtobuf(body), oddities: [] };
  const unrecognized = (why: string) =>
    badRequest(
      `the object provided is unrecognized${expected === undefined ? '' : ` (must be of type ${expected})`}: ${why} (${
        body.length === 0 ? '<empty>' : type === 'application/yaml' ? body.toString('hex') : shown(body)
      })`,
    );
  let value: Json;
  let oddities: readonly string[] = [];
  try {
    if (type === 'application/yaml') {
      const yaml = parseYaml(body.toString());
      value = yaml.value;
      oddities = yaml.repeatedKeys.length === 0 ? [] : [repeatedKeysText(yaml.repeatedKeys)];
    } else value = JSON.parse(body.toString()) as Json;
  } catch (error) {
    if (error instanceof YamlSyntaxError) throw unrecognized(error.message);
    throw unrecognized(`couldn't get version/kind; json parse error: ${goJsonError(body.toString(), error)}`);
  }
  if (value === null) return { object: {}, oddities };
  if (!isJsonObject(value)) throw unrecognized(`couldn't get version/kind; json parse error: ${wrongRoot(value)}`);
  return { object: value, oddities };
}

/** The options in the body of a delete, which may have none. */
export async function readOptionalObject(request: IncomingMessage): Promise<JsonObject | undefined> {
  const body = await readBody(request);
  if (body === undefined) return undefined;
  const type = contentType(request);
  if (type === 'application/vnd.kubernetes.protobuf') return decodeProtobuf(body);
  const value = type === 'application/yaml' ? parseYaml(body.toString()).value : parseJson(body.toString());
  return isJsonObject(value) ? value : undefined;
}

/** How a strict reader complains about repeated keys. */
export function repeatedKeysText(keys: readonly string[]): string {
  return `yaml: unmarshal errors:\n${keys.map((key) => `  ${key}`).join('\n')}`;
}

/** The body of a patch that is JSON, with the complaint that the API server has about one that is not. */
export async function readPatchBody(request: IncomingMessage): Promise<Json> {
  const text = (await readBody(request))?.toString() ?? '';
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    const prefix = contentType(request) === 'application/strategic-merge-patch+json' ? '' : 'error decoding patch: ';
    throw badRequest(`${prefix}${goJsonError(text, error)}`);
  }
}

/** The configuration in the body of a server-side apply. */
export async function readApplyBody(request: IncomingMessage): Promise<ObjectBody> {
  const text = (await readBody(request))?.toString() ?? '';
  try {
    const { value, repeatedKeys } = parseYaml(text);
    if (!isJsonObject(value) && value !== null)
      throw badRequest(`error decoding YAML: error unmarshaling JSON: while decoding JSON: ${wrongRoot(value)}`);
    return { object: value ?? {}, oddities: repeatedKeys.length === 0 ? [] : [repeatedKeysText(repeatedKeys)] };
  } catch (error) {
    if (!(error instanceof YamlSyntaxError)) throw error;
    throw badRequest(`error decoding YAML: error converting YAML to JSON: ${error.message}`);
  }
}

/** Text is shown as it is, what starts like nothing in JSON as bytes (k8s.io/apimachinery/pkg/runtime/error.go). */
function shown(body: Buffer): string {
  const text = body.toString();
  return text.startsWith('{') ? text.slice(0, 1024) : body.subarray(0, 1024).toString('hex');
}

function goJsonError(text: string, error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  if (/end of JSON input|Unterminated|Expected .* in JSON at position \d+ \(line \d+ column \d+\)$/.test(message)) {
    const position = Number(/position (\d+)/.exec(message)?.[1] ?? text.length);
    if (position >= text.trimEnd().length) return 'unexpected end of JSON input';
  }
  const at = Number(/position (\d+)/.exec(message)?.[1] ?? text.search(/\S/));
  const found = text[at];
  if (found === undefined) return 'unexpected end of JSON input';
  return `invalid character '${found}' looking for beginning of ${at === 0 ? 'value' : 'object key string'}`;
}

function wrongRoot(value: Json): string {
  const got = Array.isArray(value) ? 'array' : typeof value === 'boolean' ? 'bool' : typeof value;
  return String.raw`json: cannot unmarshal ${got} into Go value of type struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }`;
}
