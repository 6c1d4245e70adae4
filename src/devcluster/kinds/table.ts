import type { KubeEvent } from '../../core/objects.ts';
import { fieldInvalid } from '../api-error.ts';
import type { ApiObject } from '../api-object.ts';
import { ageOf } from './human-duration.ts';
import type { Column, Kind } from './kind.ts';
import { nodeKind } from './node.ts';
import { podKind } from './pod.ts';
import { serviceKind } from './service.ts';

const name: Column = { name: 'Name', format: 'name', cell: (o) => o.metadata.name };
const age: Column = { name: 'Age', cell: (o, now) => ageOf(o.metadata.creationTimestamp, now) };
const dataSize = (o: ApiObject) =>
  Object.keys((o['data'] as object | undefined) ?? {}).length +
  Object.keys((o['binaryData'] as object | undefined) ?? {}).length;
const secretType = (o: ApiObject) => o['type'] as string;
const replicas = (of: 'spec' | 'status', field: string) => (o: ApiObject) =>
  (o[of] as Record<string, number> | undefined)?.[field] ?? 0;

/** Columns of a kind that is shown by name and age. */
export const plainColumns: readonly Column[] = [name, age];

/** Every kind that this API server has. To store one more kind is to add a row (and its type to `schemas.ts`). */
export const kinds: readonly Kind[] = [
  podKind,
  nodeKind,
  serviceKind,
  {
    group: '',
    version: 'v1',
    kind: 'Namespace',
    resource: 'namespaces',
    singular: 'namespace',
    shortNames: ['ns'],
    namespaced: false,
    status: true,
    returnsDeleted: true,
    names: 'label',
    selectable: { 'status.phase': (o) => (o['status'] as { phase?: string } | undefined)?.phase ?? '' },
    columns: [name, { name: 'Status', cell: (o) => (o['status'] as { phase?: string } | undefined)?.phase ?? '' }, age],
    views: {
      finalize(next, previous) {
        next.metadata = previous.metadata;
        next['status'] = previous['status'];
      },
    },
    prepareCreate(draft) {
      draft.metadata.labels = {
        ...draft.metadata.labels,
        'kubernetes.io/metadata.name': draft.metadata.name as string,
      };
      draft['spec'] = { finalizers: ['kubernetes'] };
      draft['status'] = { phase: 'Active' };
    },
    prepareUpdate(next, previous) {
      next['spec'] = previous['spec'];
    },
    finalizers: (object) => (object['spec'] as { finalizers?: string[] } | undefined)?.finalizers ?? [],
    prepareTermination(next) {
      next['status'] = { ...(next['status'] as object | undefined), phase: 'Terminating' };
    },
  },
  {
    group: '',
    version: 'v1',
    kind: 'ConfigMap',
    resource: 'configmaps',
    singular: 'configmap',
    shortNames: ['cm'],
    namespaced: true,
    columns: [name, { name: 'Data', cell: (o) => String(dataSize(o)) }, age],
  },
  {
    group: '',
    version: 'v1',
    kind: 'Secret',
    resource: 'secrets',
    singular: 'secret',
    namespaced: true,
    selectable: { type: secretType },
    columns: [name, { name: 'Type', cell: secretType }, { name: 'Data', cell: (o) => String(dataSize(o)) }, age],
    defaults(draft) {
      draft['type'] ??= 'Opaque';
      // stringData is for writing only.
      const plain = draft['stringData'] as Record<string, string> | undefined;
      if (plain === undefined) return;
      const data = Object.fromEntries(
        Object.entries(plain).map(([key, text]) => [key, Buffer.from(text).toString('base64')]),
      );
      draft['data'] = { ...(draft['data'] as object | undefined), ...data };
      delete draft['stringData'];
    },
    validateUpdate: (next, previous) =>
      next['type'] === previous['type'] ? [] : [fieldInvalid('type', next['type'], 'field is immutable')],
  },
  {
    group: '',
    version: 'v1',
    kind: 'ServiceAccount',
    resource: 'serviceaccounts',
    singular: 'serviceaccount',
    shortNames: ['sa'],
    namespaced: true,
    returnsDeleted: true,
    actions: { token: { kind: 'TokenRequest', group: 'authentication.k8s.io', version: 'v1', verbs: ['create'] } },
  },
  {
    group: '',
    version: 'v1',
    kind: 'Event',
    resource: 'events',
    singular: 'event',
    shortNames: ['ev'],
    namespaced: true,
    createOnUpdate: true,
    defaults(draft) {
      for (const field of ['eventTime', 'firstTimestamp', 'lastTimestamp']) draft[field] ??= null;
      for (const field of ['reportingComponent', 'reportingInstance']) draft[field] ??= '';
      draft['source'] ??= {};
    },
    selectable: {
      ...Object.fromEntries(
        (['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'] as const).map((field) => [
          `involvedObject.${field}`,
          (o: ApiObject) => event(o).involvedObject?.[field] ?? '',
        ]),
      ),
      reason: (o) => event(o).reason ?? '',
      reportingComponent: (o) => event(o).reportingComponent ?? '',
      source: (o) => event(o).source?.component || event(o).reportingComponent || '',
      type: (o) => event(o).type ?? '',
    },
    columns: [
      {
        name: 'Last Seen',
        cell: (o, now) => ageOf(event(o).lastTimestamp ?? event(o).eventTime ?? event(o).firstTimestamp, now),
      },
      { name: 'Type', cell: (o) => event(o).type ?? '' },
      { name: 'Reason', cell: (o) => event(o).reason ?? '' },
      {
        name: 'Object',
        cell: (o) => `${(event(o).involvedObject?.kind ?? '').toLowerCase()}/${event(o).involvedObject?.name ?? ''}`,
      },
      { name: 'Message', cell: (o) => (event(o).message ?? '').trim() },
      { name: 'Name', format: 'name', priority: 1, cell: (o) => o.metadata.name },
    ],
    validate(object) {
      const about = event(object).involvedObject?.namespace ?? '';
      const within = object.metadata.namespace;
      // Events about what has no namespace live in `default`.
      return about === within || (about === '' && within === 'default')
        ? []
        : [fieldInvalid('involvedObject.namespace', about, 'does not match event.namespace')];
    },
  },
  {
    group: '',
    version: 'v1',
    kind: 'Endpoints',
    resource: 'endpoints',
    singular: 'endpoints',
    shortNames: ['ep'],
    namespaced: true,
  },
  {
    group: 'coordination.k8s.io',
    version: 'v1',
    kind: 'Lease',
    resource: 'leases',
    singular: 'lease',
    namespaced: true,
    createOnUpdate: true,
    versionRequired: true,
    columns: [
      name,
      { name: 'Holder', cell: (o) => (o['spec'] as { holderIdentity?: string } | undefined)?.holderIdentity ?? '' },
      age,
    ],
  },
  {
    group: 'node.k8s.io',
    version: 'v1',
    kind: 'RuntimeClass',
    resource: 'runtimeclasses',
    singular: 'runtimeclass',
    namespaced: false,
  },
  {
    group: 'apps',
    version: 'v1',
    kind: 'Deployment',
    resource: 'deployments',
    singular: 'deployment',
    shortNames: ['deploy'],
    categories: ['all'],
    namespaced: true,
    status: true,
    generation: true,
    columns: [
      name,
      { name: 'Ready', cell: (o) => `${replicas('status', 'readyReplicas')(o)}/${replicas('spec', 'replicas')(o)}` },
      { name: 'Up-to-date', cell: (o) => String(replicas('status', 'updatedReplicas')(o)) },
      { name: 'Available', cell: (o) => String(replicas('status', 'availableReplicas')(o)) },
      age,
    ],
  },
  {
    group: 'apps',
    version: 'v1',
    kind: 'ReplicaSet',
    resource: 'replicasets',
    singular: 'replicaset',
    shortNames: ['rs'],
    categories: ['all'],
    namespaced: true,
    status: true,
    generation: true,
    columns: [
      name,
      { name: 'Desired', type: 'integer', cell: replicas('spec', 'replicas') },
      { name: 'Current', type: 'integer', cell: replicas('status', 'replicas') },
      { name: 'Ready', type: 'integer', cell: replicas('status', 'readyReplicas') },
      age,
    ],
  },
  {
    group: 'batch',
    version: 'v1',
    kind: 'Job',
    resource: 'jobs',
    singular: 'job',
    categories: ['all'],
    namespaced: true,
    status: true,
    generation: true,
  },
  {
    group: 'authentication.k8s.io',
    version: 'v1',
    kind: 'TokenReview',
    resource: 'tokenreviews',
    singular: 'tokenreview',
    namespaced: false,
    review: true,
  },
  {
    group: 'authentication.k8s.io',
    version: 'v1',
    kind: 'SelfSubjectReview',
    resource: 'selfsubjectreviews',
    singular: 'selfsubjectreview',
    namespaced: false,
    review: true,
  },
  {
    group: 'authorization.k8s.io',
    version: 'v1',
    kind: 'SubjectAccessReview',
    resource: 'subjectaccessreviews',
    singular: 'subjectaccessreview',
    namespaced: false,
    review: true,
  },
  {
    group: 'authorization.k8s.io',
    version: 'v1',
    kind: 'SelfSubjectAccessReview',
    resource: 'selfsubjectaccessreviews',
    singular: 'selfsubjectaccessreview',
    namespaced: false,
    review: true,
  },
];

const byResource = new Map(kinds.map((kind) => [`${kind.group}/${kind.version}/${kind.resource}`, kind]));
const byKind = new Map(kinds.map((kind) => [kind.kind, kind]));

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

function event(object: ApiObject): KubeEvent {
  return object as unknown as KubeEvent;
}
