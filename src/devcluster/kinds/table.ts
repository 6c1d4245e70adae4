import { admissionPolicyKinds } from './admission-policies.ts';
import { batchKinds } from './batch.ts';
import { certificateKinds } from './certificates.ts';
import { coreKinds } from './core.ts';
import { eventKind, newEventKind } from './event.ts';
import type { Kind } from './kind.ts';
import { networkKinds } from './network.ts';
import { nodeKind } from './node.ts';
import { podKind } from './pod.ts';
import { policyKinds } from './policy.ts';
import { rbacKinds } from './rbac.ts';
import { reviewKinds } from './reviews.ts';
import { serviceKind } from './service.ts';
import { storageKinds } from './storage.ts';
import { workloadKinds } from './workloads.ts';

/** Every kind that this API server has. To store one more kind is to add a row (and its type to `schemas.ts`). */
export const kinds: readonly Kind[] = [
  podKind,
  nodeKind,
  serviceKind,
  eventKind,
  ...coreKinds,
  ...networkKinds,
  ...storageKinds,
  ...policyKinds,
  ...workloadKinds,
  ...batchKinds,
  ...rbacKinds,
  ...certificateKinds,
  ...admissionPolicyKinds,
  newEventKind,
  ...reviewKinds,
];

/** The kinds whose objects are in the store under their own name. */
export const storedKinds: readonly Kind[] = kinds.filter((kind) => !kind.review && kind.storedAs === undefined);

const byResource = new Map(kinds.map((kind) => [`${kind.group}/${kind.version}/${kind.resource}`, kind]));
const byKind = new Map(kinds.filter((kind) => kind.storedAs === undefined).map((kind) => [kind.kind, kind]));

/** The row of `apps/v1` `deployments`, if there is one. */
export function kindOfResource(group: string, version: string, resource: string): Kind | undefined {
  return byResource.get(`${group}/${version}/${resource}`);
}

/** The row of a kind by its name (`Pod`). Asking for a kind that is not in the table is a mistake in the caller. */
export function kindNamed(name: string): Kind {
  const kind = byKind.get(name);
  if (kind === undefined) throw new Error(`the development cluster has no kind ${name}`);
  return kind;
}

/** The group-versions that are served, the core group first. */
export function groupVersions(): { group: string; version: string }[] {
  const seen = new Map(kinds.map(({ group, version }) => [`${group}/${version}`, { group, version }]));
  return [...seen.values()];
}
