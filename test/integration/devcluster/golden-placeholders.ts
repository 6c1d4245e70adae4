/** Values that differ from run to run, and the placeholders that stand for them: `<uid:3>`, `<time>`. */

/**
 * What a placeholder may stand for. A numbered one stands for the same value wherever it occurs; one without a number
 * for any value of its form.
 */
const forms = {
  uid: '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}',
  /** Of an object. */
  rv: '[1-9]\\d*',
  /** Of a list, a bookmark or a message: how far the whole store is. */
  storerv: '[1-9]\\d*',
  random: '[bcdfghjklmnpqrstvwxz2456789]{5}',
  time: '\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ',
  microtime: '\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{6}Z',
  /** In a Table. */
  age: '(?:\\d+[smhdy])+',
  ip: '\\d+\\.\\d+\\.\\d+\\.\\d+',
  range: '\\d+\\.\\d+\\.\\d+\\.\\d+/\\d+',
  nodeport: '3[0-2]\\d{3}',
  token: '[\\w-]+\\.[\\w-]+\\.[\\w-]+',
  continue: '[\\w+/=-]+',
  pem: '-----BEGIN [^]*-----\\n?',
  digest: '[0-9a-f]{64}',
  hash: '[0-9A-F]{128}',
  server: '[\\w.:-]+:\\d+',
} as const;

type Form = keyof typeof forms;

/** The same value must have the same placeholder and the other way round. */
const oneToOne: readonly string[] = ['uid', 'rv', 'random', 'ip', 'nodeport', 'token'] satisfies Form[];
const placeholder = new RegExp(`<(${Object.keys(forms).join('|')})(?::\\d+)?>`, 'g');

/** Replaces what differs from run to run by placeholders: the way of the recording, for the answers of one topic. */
export class Redactor {
  readonly #placeholders = new Map<string, string>();
  readonly #counts = new Map<Form, number>();
  readonly #given: ReadonlySet<string>;
  /** The end of a name that was made from a prefix. */
  readonly #generated: RegExp;

  /** Values that occur in `requests`, the text of all of them, are left as they are. */
  constructor(requests: string) {
    this.#given = new Set(requests.match(/[\w.:-]+/g));
    const prefixes = [...requests.matchAll(/"generateName":"([^"]+)"/g)].map(([, prefix]) => prefix);
    this.#generated = new RegExp(`(?<=${['kube-api-access-', ...prefixes].join('|')})${forms.random}\\b`, 'g');
  }

  redact(value: unknown, key = ''): unknown {
    if (Array.isArray(value)) return value.map((item) => this.redact(item, key));
    if (typeof value === 'number' && /nodePort$/i.test(key) && value >= 30_000)
      return this.#once('nodeport', String(value), value);
    if (typeof value === 'string') return this.#text(value, key);
    if (typeof value !== 'object' || value === null) return value;
    const ofStore = isCollection(value);
    return Object.fromEntries(
      Object.entries(value).map(([field, item]) => [
        field,
        field === 'metadata' && ofStore
          ? this.#collectionMetadata(item as Record<string, unknown>)
          : isBookmark(value) && field === 'object'
            ? this.#bookmark(item as Record<string, unknown>)
            : this.redact(item, field),
      ]),
    );
  }

  #collectionMetadata({ resourceVersion, ...rest }: Record<string, unknown>): unknown {
    return {
      ...(resourceVersion !== undefined && { resourceVersion: this.#fresh('storerv') }),
      ...(this.redact(rest) as object),
    };
  }

  #bookmark({ metadata, ...rest }: Record<string, unknown>): unknown {
    return {
      ...(this.redact(rest) as object),
      metadata: this.#collectionMetadata(metadata as Record<string, unknown>),
    };
  }

  #text(text: string, key: string): string {
    if (key === 'resourceVersion' && /^[1-9]\d*$/.test(text)) return this.#once('rv', text, text);
    if (key === 'continue' && text !== '') return this.#fresh('continue');
    if (text.startsWith('-----BEGIN ')) return '<pem>';
    if (key === 'cells' && /^(\d+[smhdy])+$/.test(text)) return '<age>';
    if (key === 'serverAddress') return '<server>';
    return (
      text
        .replace(this.#generated, (value) => this.#once('random', value, value))
        .replace(/\beyJ[\w-]+\.[\w-]+\.[\w-]+/g, (value) => this.#once('token', value, value))
        .replace(new RegExp(forms.uid, 'g'), (value) => this.#once('uid', value, value))
        // What follows otherwise is the end of Go's name for the format.
        .replace(new RegExp(`${forms.microtime}(?!07:00)`, 'g'), (value) =>
          this.#isGiven(value) ? value : '<microtime>',
        )
        .replace(new RegExp(`${forms.time}(?!07:00)`, 'g'), (value) => (this.#isGiven(value) ? value : '<time>'))
        .replace(/\b10\.0\.0\.0\/24\b/g, '<range>')
        .replace(/\b10\.0\.0\.\d+\b/g, (value) => this.#once('ip', value, value))
        .replace(/(?<=\b\d+:)3[0-2]\d{3}(?=\/)/g, (value) => this.#once('nodeport', value, value))
        .replace(/(?<=X509SHA256=)[0-9a-f]{64}/g, '<digest>')
        .replace(/(?<=\?hash=)[0-9A-F]{128}/g, '<hash>')
        .replace(/(?<=current: |too old resource version: \d+ \()\d+/g, '<storerv>')
        .replace(/(?<=match the ResourceVersion in record \()\d+/g, (value) => this.#once('rv', value, value))
        .replace(
          /(?<=(?:resourceVersion: "|resourceVersion\\":\\"|, ResourceVersion in (?:precondition|object meta): ))[1-9]\d*/g,
          (value) => this.#once('rv', value, value),
        )
    );
  }

  #isGiven(value: string): boolean {
    return this.#given.has(value);
  }

  #once<T>(form: Form, value: string, given: T): T | string {
    if (form !== 'rv' && this.#isGiven(value)) return given;
    const key = `${form} ${value}`;
    const known = this.#placeholders.get(key) ?? this.#fresh(form);
    this.#placeholders.set(key, known);
    return known;
  }

  #fresh(form: Form): string {
    const count = (this.#counts.get(form) ?? 0) + 1;
    this.#counts.set(form, count);
    return `<${form}:${count}>`;
  }
}

/**
 * Holds answers to a recording: the way of the replay, for one topic. A placeholder takes the value that it meets first
 * and must then always meet that one.
 */
export class Comparison {
  readonly #valueOf = new Map<string, string>();
  readonly #placeholderOf = new Map<string, string>();

  /** What is different, a line each. */
  differences(expected: unknown, actual: unknown, path = ''): string[] {
    if (typeof expected === 'string') {
      return this.#matches(expected, actual) ? [] : [`${path}: expected ${show(expected)}, got ${show(actual)}`];
    }
    if (Array.isArray(expected) && Array.isArray(actual)) {
      const length = Math.max(expected.length, actual.length);
      return Array.from({ length }, (_, i) => i).flatMap((i) => this.#member(expected, actual, i, path));
    }
    if (isRecord(expected) && isRecord(actual)) {
      const keys = new Set([...Object.keys(expected), ...Object.keys(actual)]);
      return [...keys].flatMap((key) => this.#member(expected, actual, key, path));
    }
    return Object.is(expected, actual) ? [] : [`${path}: expected ${show(expected)}, got ${show(actual)}`];
  }

  #member(expected: object, actual: object, key: string | number, path: string): string[] {
    const at = `${path}/${key}`;
    if (!Object.hasOwn(actual, key)) return [`${at}: missing, expected ${show(Reflect.get(expected, key))}`];
    if (!Object.hasOwn(expected, key)) return [`${at}: not expected, got ${show(Reflect.get(actual, key))}`];
    return this.differences(Reflect.get(expected, key), Reflect.get(actual, key), at);
  }

  #matches(template: string, actual: unknown): boolean {
    const names = template.match(placeholder);
    if (names === null) return template === actual;
    if (typeof actual !== 'string' && typeof actual !== 'number') return false;
    const pattern = template
      .split(placeholder)
      .map((part, i) => (i % 2 === 0 ? part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&') : `(${forms[part as Form]})`))
      .join('');
    const found = new RegExp(`^${pattern}$`).exec(String(actual));
    return found !== null && names.every((name, i) => this.#bind(name, found[i + 1] ?? ''));
  }

  #bind(name: string, value: string): boolean {
    if (!name.includes(':')) return true;
    const form = name.slice(1, name.indexOf(':'));
    const key = `${form} ${value}`;
    const known = this.#valueOf.get(name);
    if (known !== undefined) return known === value;
    if (oneToOne.includes(form) && this.#placeholderOf.has(key)) return false;
    this.#valueOf.set(name, value);
    this.#placeholderOf.set(key, name);
    return true;
  }
}

function isCollection(value: object): boolean {
  return 'metadata' in value && isRecord(value.metadata) && ('items' in value || 'columnDefinitions' in value);
}

function isBookmark(value: object): boolean {
  return 'type' in value && value.type === 'BOOKMARK' && 'object' in value;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 600 ? `${text.slice(0, 600)}…` : text;
}
