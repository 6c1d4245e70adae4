import { ApiError } from '../api-error.ts';
import type { ClusterObjects } from './cluster-objects.ts';
import { canonicalJson } from './hash.ts';
import { controllerReference, type Owner } from './pod-control.ts';
import type { ControllerRevision, PodTemplate } from './types.ts';

/** On pods and revisions: which revision of its owner's template it is. */
export const revisionLabel = 'controller-revision-hash';

/** What of an owner a revision keeps: a patch that brings its template back. */
export function revisionData(template: PodTemplate): object {
  return { spec: { template: { ...template, $patch: 'replace' } } };
}

/** The template that a revision keeps. */
export function revisionTemplate({ data }: ControllerRevision): PodTemplate {
  const { $patch: _patch, ...template } = (data as { spec: { template: PodTemplate & { $patch?: string } } }).spec
    .template;
  return template;
}

/** How the revisions of a kind are named and labelled. */
export interface RevisionNaming {
  readonly hash: (collisionCount: number | undefined) => string;
  readonly labels: (hash: string) => Readonly<Record<string, string>>;
}

/** The revisions of one owner, the oldest first. */
export function revisionsOf(objects: ClusterObjects, owner: Owner): ControllerRevision[] {
  return objects
    .controlledBy<ControllerRevision>('ControllerRevision', owner.metadata.uid)
    .sort((a, b) => a.revision - b.revision || (a.metadata.name < b.metadata.name ? -1 : 1));
}

/**
 * The revision of the owner's present template, made if it is new and moved to the end if it is an old one. Undefined
 * when its name is taken by another: then the owner's collision count has to grow. Follows getStatefulSetRevisions in
 * pkg/controller/statefulset/stateful_set_control.go and constructHistory in pkg/controller/daemon/update.go.
 */
export function syncRevision(
  objects: ClusterObjects,
  owner: Owner,
  template: PodTemplate,
  collisionCount: number | undefined,
  { hash, labels }: RevisionNaming,
): ControllerRevision | undefined {
  const known = revisionsOf(objects, owner);
  const data = revisionData(template);
  const text = canonicalJson(data);
  const equal = known.findLast((revision) => canonicalJson(revision.data) === text);
  const next = (known.at(-1)?.revision ?? 0) + 1;
  if (equal !== undefined) return equal === known.at(-1) ? equal : objects.update(equal, { revision: next });
  const suffix = hash(collisionCount);
  try {
    return objects.create<ControllerRevision>('ControllerRevision', owner.metadata.namespace, {
      metadata: {
        name: `${owner.metadata.name.slice(0, 223)}-${suffix}`,
        labels: { ...template.metadata?.labels, ...labels(suffix) },
        ...(owner.metadata.annotations && { annotations: owner.metadata.annotations }),
        ownerReferences: [controllerReference(owner)],
      },
      data,
      revision: next,
    });
  } catch (error) {
    if (error instanceof ApiError && error.reason === 'AlreadyExists') return undefined;
    throw error;
  }
}

/** Deletes the oldest revisions beyond `limit` that are not in use. */
export function truncateHistory(
  objects: ClusterObjects,
  owner: Owner,
  inUse: ReadonlySet<string>,
  limit: number,
): void {
  const unused = revisionsOf(objects, owner).filter(({ metadata }) => !inUse.has(metadata.name));
  for (const revision of unused.slice(0, Math.max(0, unused.length - limit))) objects.delete(revision);
}
