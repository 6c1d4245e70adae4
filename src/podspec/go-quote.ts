const escapes: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\u0007': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
};

const notPlain = /["\\]|[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu;

/** A string as Go's `%q` prints it: Kubernetes quotes label values and texts in messages that way. */
export function goQuote(text: string): string {
  return `"${text.replace(notPlain, escape)}"`;
}

function escape(character: string): string {
  const known = escapes[character];
  if (known !== undefined) return known;
  const point = character.codePointAt(0) ?? 0;
  if (point < 0x20 || point === 0x7f) return `\\x${hex(point, 2)}`;
  // A lone surrogate has no UTF-8 form; Go never sees one.
  if (point >= 0xd800 && point <= 0xdfff) return '\ufffd';
  return point <= 0xffff ? `\\u${hex(point, 4)}` : `\\U${hex(point, 8)}`;
}

function hex(value: number, width: number): string {
  return value.toString(16).padStart(width, '0');
}
