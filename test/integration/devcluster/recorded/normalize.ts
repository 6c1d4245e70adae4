/** Takes out of an answer what differs from run to run: identities, times, versions, random names, diffs in Go's words. */
export function normalize(text: string): unknown {
  const compact = text.startsWith('{\n') ? JSON.stringify(JSON.parse(text)) : text;
  const lines = compact.split('\n').filter((line) => line !== '');
  const values = lines.map((line) => withoutIdentity(parsed(line)));
  return values.length === 1 ? values[0] : values;
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line) as unknown;
  } catch {
    return line;
  }
}

function withoutIdentity(value: unknown, key = ''): unknown {
  if (Array.isArray(value)) return value.map((item) => withoutIdentity(item));
  if (typeof value === 'string')
    return key === 'token' ? '<token>' : key === 'resourceVersion' && /^\d+$/.test(value) ? '<version>' : plain(value);
  if (typeof value !== 'object' || value === null) return value;
  const result: Record<string, unknown> = {};
  for (const [field, item] of Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) {
    // Field ownership and the help texts of columns are not served.
    if (field === 'managedFields' || (field === 'description' && 'format' in value)) continue;
    result[field] = withoutIdentity(item, field);
  }
  return result;
}

function plain(text: string): string {
  return text
    .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, '<uid>')
    .replaceAll(/20(?!26-01-01)\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ/g, '<time>')
    .replaceAll(/(kube-api-access|gen)-[a-z0-9]{5}/g, '$1-<random>')
    .replace(/current: \d+/, 'current: <version>')
    .replace(/in record \(\d+\)/, 'in record (<version>)')
    .replace(/X509SHA256=[0-9a-f]+/, 'X509SHA256=<digest>')
    .replace(/\n@@[^]*$/, '')
    .replace(/^\d+s$/, '<age>');
}
