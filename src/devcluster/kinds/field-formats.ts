/** What is wrong with small values, in the words of k8s.io/apimachinery/pkg/util/validation. */

export function portError(port: number): string | undefined {
  return port >= 1 && port <= 65_535 ? undefined : 'must be between 1 and 65535, inclusive';
}

/** The name of a port: `http`. */
export function portNameError(name: string): string | undefined {
  if (name.length > 15) return 'must be no more than 15 characters';
  if (!/^[-a-z0-9]+$/.test(name)) return 'must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)';
  if (!/[a-z]/.test(name)) return 'must contain at least one letter (a-z)';
  if (name.includes('--')) return 'must not contain consecutive hyphens';
  return name.startsWith('-') || name.endsWith('-') ? 'must not begin or end with a hyphen' : undefined;
}

/** A path inside a volume. */
export function relativePathError(path: string): string | undefined {
  if (path.startsWith('/')) return 'must be a relative path';
  return path.split('/').includes('..') ? "must not contain '..'" : undefined;
}

const fieldPaths = [
  'metadata.annotations',
  'metadata.labels',
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
  'spec.nodeName',
  'spec.restartPolicy',
  'spec.serviceAccountName',
  'spec.schedulerName',
  'spec.hostNetwork',
  'status.phase',
  'status.hostIP',
  'status.hostIPs',
  'status.podIP',
  'status.podIPs',
  'status.nominatedNodeName',
];

/** A field of a pod that the downward API might know. */
export function fieldPathError(path: string): string | undefined {
  if (fieldPaths.includes(path) || /^metadata\.(labels|annotations)\['.*'\]$/.test(path)) return undefined;
  return `error converting fieldPath: field label not supported: ${path}`;
}
