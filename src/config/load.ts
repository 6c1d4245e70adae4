import { dirname, isAbsolute, join, resolve } from 'node:path';

import { invalidInput, messageOf } from '../core/errors.ts';
import type { Config } from './config.ts';
import { completed } from './defaults.ts';
import type { Machine } from './defaults.ts';
import { problemsOf } from './problems.ts';
import { schema } from './schema.ts';
import { fromText, settings } from './settings.ts';
import type { Setting } from './settings.ts';
import { closest } from './suggestion.ts';

/** Where settings come from. Flags win over variables, variables over the file, the file over defaults. */
export interface ConfigSources {
  /** By flag name without dashes; a boolean flag's value is a boolean. */
  readonly flags: Readonly<Record<string, string | boolean | undefined>>;
  /** What a command has instead of the schema's defaults: by flag name, as text. */
  readonly defaults?: Readonly<Record<string, string>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What relative paths in flags and variables start from; those in the file start from its folder. */
  readonly cwd: string;
  readonly machine: Machine;
  readonly files: ConfigFiles;
}

/** The disk, as far as settings need it. */
export interface ConfigFiles {
  /** The text of a file; throws as `readFileSync` does. */
  read(path: string): string;
}

/** What {@link loadConfig} found. */
export interface LoadedConfig {
  readonly config: Config;
  /** What works, but hardly as it was meant; a sentence each. */
  readonly warnings: readonly string[];
}

/** Where a value was written, for messages and for relative paths. */
interface Origin {
  readonly label: string;
  readonly base: string;
}

/** One configuration out of file, variables and flags. Throws one `InvalidInput` that lists all that is wrong. */
export async function loadConfig(sources: ConfigSources): Promise<LoadedConfig> {
  const problems: string[] = [];
  const named = sources.flags['config'] ?? sources.env['ANYLET_CONFIG'];
  const file = typeof named === 'string' && named !== '' ? resolve(sources.cwd, named) : undefined;

  const input = file === undefined ? {} : await fileContent(file, sources.files, problems);
  const inFile: Origin | undefined = file === undefined ? undefined : { label: file, base: dirname(file) };
  const origins = new Map<string, Origin>();
  for (const setting of settings) {
    const text = textOf(setting, sources);
    if (text !== undefined) {
      put(input, setting.path, text.value);
      origins.set(setting.path.join('.'), { label: text.from, base: sources.cwd });
    }
    const standard = sources.defaults?.[setting.flag];
    if (standard !== undefined && valueAt(input, setting.path) === undefined)
      put(input, setting.path, fromText(setting.kind, standard));
    const origin = origins.get(setting.path.join('.')) ?? inFile;
    if (origin !== undefined) makeAbsolute(input, setting, origin.base);
  }
  problems.push(...mistypedVariables(sources.env));

  for (const setting of settings) {
    const path = valueAt(input, setting.path);
    if (setting.file?.mustExist !== true || typeof path !== 'string' || path === '') continue;
    const problem = unreadable(path, sources.files);
    if (problem !== undefined) problems.push(`${label(setting.path, origins, inFile)}: ${problem}`);
  }
  const parsed = schema.safeParse(input);
  if (!parsed.success) {
    problems.push(...problemsOf(parsed.error, input, (path) => label(path, origins, inFile)));
    throw refusal(problems);
  }
  const { config, warnings, problems: contradictions } = completed(parsed.data, sources);
  problems.push(...contradictions);
  if (problems.length > 0) throw refusal(problems);
  return { config: deepFrozen(config), warnings };
}

function refusal(problems: readonly string[]): Error {
  if (problems.length === 1) return invalidInput(`configuration: ${problems[0]}`);
  return invalidInput(`configuration: ${problems.length} problems\n${problems.map((line) => `  ${line}`).join('\n')}`);
}

async function fileContent(path: string, files: ConfigFiles, problems: string[]): Promise<Record<string, unknown>> {
  let text: string;
  try {
    text = files.read(path);
  } catch (err) {
    problems.push(`${path}: cannot be read: ${messageOf(err)}`);
    return {};
  }
  const { parseDocument } = await import('yaml');
  const document = parseDocument(text);
  if (document.errors.length > 0) {
    problems.push(...document.errors.map((error) => `${path}: ${error.message.split('\n')[0]?.replace(/:$/, '')}`));
    return {};
  }
  const content: unknown = document.toJS() ?? {};
  if (isMap(content)) return content;
  problems.push(`${path}: holds no map of settings`);
  return {};
}

function textOf(setting: Setting, { flags, env }: ConfigSources): { value: unknown; from: string } | undefined {
  const flag = flags[setting.flag];
  if (flag !== undefined) {
    return { value: typeof flag === 'string' ? fromText(setting.kind, flag) : flag, from: `--${setting.flag}` };
  }
  const variable = env[setting.variable];
  // An empty variable is how many tools say "not set".
  if (variable === undefined || variable === '') return undefined;
  return { value: fromText(setting.kind, variable), from: setting.variable };
}

/**
 * Variables that look like a setting misspelt. Others that begin with ANYLET_ are none of our business: Kubernetes
 * itself makes some for a Service of that name.
 */
function mistypedVariables(env: ConfigSources['env']): string[] {
  const known = ['ANYLET_CONFIG', ...settings.map(({ variable }) => variable)];
  return Object.keys(env)
    .filter((name) => name.startsWith('ANYLET_') && !known.includes(name))
    .flatMap((name) => {
      const close = closest(
        name.slice('ANYLET_'.length),
        known.map((each) => each.slice('ANYLET_'.length)),
      );
      return close === undefined ? [] : [`${name}: no such setting; did you mean ANYLET_${close}?`];
    });
}

function makeAbsolute(input: Record<string, unknown>, { path, file }: Setting, base: string): void {
  const value = valueAt(input, path);
  if (typeof value !== 'string' || value === '' || isAbsolute(value)) return;
  const isProviderPath = path.join('.') === 'provider.name' && /^\.\.?[\\/]/.test(value);
  if (file !== undefined || isProviderPath) put(input, path, join(base, value));
}

function unreadable(path: string, files: ConfigFiles): string | undefined {
  try {
    files.read(path);
    return undefined;
  } catch (err) {
    return `cannot be read: ${messageOf(err)}`;
  }
}

/** What a message calls a place: the flag or variable that set it, else its path in the file. */
function label(path: readonly PropertyKey[], origins: ReadonlyMap<string, Origin>, inFile: Origin | undefined): string {
  for (let length = path.length; length > 0; length--) {
    const origin = origins.get(path.slice(0, length).join('.'));
    if (origin !== undefined) return [origin.label, ...path.slice(length).map(String)].join(': ');
  }
  const place = path.map(String).join('.');
  return inFile === undefined ? place : place === '' ? inFile.label : `${inFile.label}: ${place}`;
}

function valueAt(object: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((value, key) => (isMap(value) ? value[key as string] : undefined), object);
}

function put(object: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [key = '', ...rest] = path;
  if (rest.length === 0) {
    object[key] = value;
    return;
  }
  if (object[key] === undefined || object[key] === null) object[key] = {};
  const below = object[key];
  // Something else stands where a map belongs: left as it is, so that the schema says so.
  if (isMap(below)) put(below, rest, value);
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function deepFrozen<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const each of Object.values(value)) deepFrozen(each);
    Object.freeze(value);
  }
  return value;
}
