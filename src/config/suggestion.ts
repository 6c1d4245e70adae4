/** `; did you mean x?` for the candidate that is closest to what was written, or nothing when none is close. */
export function suggestion(written: string, candidates: readonly string[]): string {
  const close = closest(written, candidates);
  return close === undefined ? '' : `; did you mean ${close}?`;
}

/** The candidate within two edits (fewer for short words), ignoring case. */
export function closest(written: string, candidates: readonly string[]): string | undefined {
  const limit = Math.min(2, Math.floor(written.length / 3));
  const ranked = candidates
    .map((candidate) => ({ candidate, edits: edits(written.toLowerCase(), candidate.toLowerCase()) }))
    .filter((each) => each.edits <= limit)
    .toSorted((a, b) => a.edits - b.edits);
  return ranked[0]?.candidate;
}

/** Letters to add, drop, change or swap with their neighbour. */
function edits(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, i) => i)];
  const at = (i: number, j: number) => rows[i]?.[j] ?? Number.POSITIVE_INFINITY;
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    rows.push(row);
    for (let j = 1; j <= b.length; j++) {
      const change = at(i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swapped = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? at(i - 2, j - 2) + 1 : change;
      row.push(Math.min(change, swapped, at(i - 1, j) + 1, at(i, j - 1) + 1));
    }
  }
  return at(a.length, b.length);
}
