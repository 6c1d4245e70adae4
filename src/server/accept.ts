/** One alternative of an `Accept` header. */
export interface AcceptClause {
  readonly type: string;
  readonly subtype: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/** The alternatives of an `Accept` header, most wanted first (github.com/munnerz/goautoneg). */
export function parseAccept(header: string): AcceptClause[] {
  const clauses = header.split(',').flatMap((part) => {
    const [range = '', ...rest] = part.split(';').map((piece) => piece.trim());
    const [type = '', subtype = '', more] = range.split('/').map((piece) => piece.trim());
    if (type === '' || more !== undefined) return [];
    const pairs = rest.flatMap((pair) => {
      const at = pair.indexOf('=');
      return at < 0 ? [] : [[pair.slice(0, at).trim(), pair.slice(at + 1).trim()] as const];
    });
    const { q, ...parameters } = Object.fromEntries(pairs);
    const quality = Number(q ?? '1');
    // A lone `*` is what some old clients send for everything.
    const clause = { type, subtype: subtype === '' && type === '*' ? '*' : subtype, parameters };
    return [{ clause, quality: Number.isNaN(quality) ? 1 : quality }];
  });
  const wildcards = ({ type, subtype }: AcceptClause) => Number(type === '*') * 2 + Number(subtype === '*');
  return clauses
    .sort((a, b) => b.quality - a.quality || wildcards(a.clause) - wildcards(b.clause))
    .map(({ clause }) => clause);
}

/** Whether a clause takes a media type, given by its two halves. */
export function accepts({ type, subtype }: AcceptClause, [ofType, ofSubtype]: readonly [string, string]): boolean {
  return (type === ofType && (subtype === ofSubtype || subtype === '*')) || (type === '*' && subtype === '*');
}
