import { readFile } from 'node:fs/promises';

/** One request, as the API server's audit log has it (`audit.k8s.io/v1`, level Metadata). */
export interface AuditEntry {
  readonly verb: string;
  readonly requestURI: string;
  readonly userAgent?: string;
  readonly user: { readonly username: string };
  readonly objectRef?: {
    readonly resource?: string;
    readonly subresource?: string;
    readonly apiGroup?: string;
    readonly name?: string;
  };
  readonly responseStatus?: { readonly code: number };
  readonly annotations?: Readonly<Record<string, string>>;
}

/** A rule of a Role or ClusterRole. */
export interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

/** What this user asked by programs whose user agent begins so. */
export async function auditOf(path: string, username: string, userAgent: string): Promise<AuditEntry[]> {
  return (await readFile(path, 'utf8'))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as AuditEntry)
    .filter(({ user, userAgent: by = '' }) => user.username === username && by.startsWith(userAgent));
}

/** What the rules allow and nobody asked for, one line for each verb and resource. */
export function unusedOf(rules: readonly Rule[], entries: readonly AuditEntry[]): string[] {
  return rules.flatMap(({ apiGroups, resources, resourceNames, verbs }) =>
    apiGroups.flatMap((group) =>
      resources.flatMap((resource) =>
        verbs
          .filter((verb) => !entries.some((entry) => isUse(entry, { group, resource, verb, resourceNames })))
          .map((verb) => `${verb} ${resource}${group === '' ? '' : `.${group}`}${resourceNames ? ' by name' : ''}`),
      ),
    ),
  );
}

interface Grant {
  readonly group: string;
  readonly resource: string;
  readonly verb: string;
  readonly resourceNames: readonly string[] | undefined;
}

function isUse({ verb, objectRef = {} }: AuditEntry, grant: Grant): boolean {
  const { resource, subresource, apiGroup = '', name = '' } = objectRef;
  const asked = subresource === undefined ? resource : `${resource}/${subresource}`;
  return (
    verb === grant.verb &&
    apiGroup === grant.group &&
    asked === grant.resource &&
    (grant.resourceNames?.includes(name) ?? true)
  );
}
