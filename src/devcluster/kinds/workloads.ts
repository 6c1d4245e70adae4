/** The kinds that make pods; follows pkg/registry/apps and pkg/apis/apps (defaults, validation). */
import type {
  V1ControllerRevision,
  V1DaemonSet,
  V1Deployment,
  V1PodTemplateSpec,
  V1ReplicaSet,
  V1ReplicationController,
  V1StatefulSet,
} from '@kubernetes/client-node';

import type { Wire } from '../../core/objects.ts';
import { fieldForbidden, fieldInvalid, fieldNotSupported, fieldRequired, type FieldError } from '../api-error.ts';
import type { ApiObject, DraftObject } from '../api-object.ts';
import { equalJson } from '../json.ts';
import {
  ageColumn,
  containerColumns,
  labelsText,
  nameColumn,
  selectorColumn,
  selectorTerms,
  selectorText,
} from './columns.ts';
import { row, type Kind } from './kind.ts';
import { defaultTemplate, templateOf, validateSelector, validateTemplate } from './pod-template.ts';
import { defaultClaim } from './storage.ts';

type Spec<T extends { spec?: unknown }> = NonNullable<Wire<T>['spec' & keyof Wire<T>]>;
type Template = Wire<V1PodTemplateSpec>;

const deployment = (o: ApiObject | DraftObject) => o as unknown as { spec: Spec<V1Deployment> } & Wire<V1Deployment>;
const replicaSet = (o: ApiObject | DraftObject) => o as unknown as { spec: Spec<V1ReplicaSet> } & Wire<V1ReplicaSet>;
const daemonSet = (o: ApiObject | DraftObject) => o as unknown as { spec: Spec<V1DaemonSet> } & Wire<V1DaemonSet>;
const statefulSet = (o: ApiObject | DraftObject) => o as unknown as { spec: Spec<V1StatefulSet> } & Wire<V1StatefulSet>;
const controller = (o: ApiObject | DraftObject) =>
  o as unknown as { spec: Spec<V1ReplicationController> } & Wire<V1ReplicationController>;
const template = (o: ApiObject) => templateOf(o)?.spec?.containers;
const specField = (o: ApiObject, field: string) => (o['spec'] as Record<string, unknown> | undefined)?.[field];

/** A count that a writer left out of the status is 0. */
const count = (value: number | undefined) => value ?? 0;

/** A selector that was chosen stays. */
const fixedSelector = (next: ApiObject, previous: ApiObject): FieldError[] =>
  equalJson(specField(next, 'selector'), specField(previous, 'selector'))
    ? []
    : [fieldInvalid('spec.selector', specField(next, 'selector'), 'field is immutable')];

function validateReplicas(replicas: number | undefined): FieldError[] {
  return notNegative('spec.replicas', replicas);
}

function notNegative(field: string, value: number | undefined): FieldError[] {
  return value !== undefined && value < 0 ? [fieldInvalid(field, value, 'must be greater than or equal to 0')] : [];
}

/** Go shows the whole strategy. */
function strategyNotSupported(field: string, type: string, supported: readonly string[]): FieldError {
  return fieldNotSupported(field, { Type: type, RollingUpdate: null }, supported);
}

const mutableStatefulSetFields = [
  'replicas',
  'ordinals',
  'template',
  'updateStrategy',
  'revisionHistoryLimit',
  'persistentVolumeClaimRetentionPolicy',
  'minReadySeconds',
];

const deploymentKind = row({
  group: 'apps',
  kind: 'Deployment',
  resource: 'deployments',
  shortNames: ['deploy'],
  categories: ['all'],
  namespaced: true,
  status: true,
  generation: true,
  scale: { selector: (o) => selectorTerms(deployment(o).spec.selector) },
  columns: [
    nameColumn,
    {
      name: 'Ready',
      cell: (o) => `${count(deployment(o).status?.readyReplicas)}/${count(deployment(o).spec.replicas)}`,
    },
    { name: 'Up-to-date', cell: (o) => count(deployment(o).status?.updatedReplicas) },
    { name: 'Available', cell: (o) => count(deployment(o).status?.availableReplicas) },
    ageColumn,
    ...containerColumns(template),
    selectorColumn((o) => selectorTerms(deployment(o).spec.selector)),
  ],
  defaults(draft) {
    const { spec } = deployment(draft);
    spec.replicas ??= 1;
    const strategy = (spec.strategy ??= {});
    strategy.type ||= 'RollingUpdate';
    if (strategy.type === 'RollingUpdate') {
      const rolling = (strategy.rollingUpdate ??= {});
      rolling.maxUnavailable ??= '25%';
      rolling.maxSurge ??= '25%';
    }
    spec.revisionHistoryLimit ??= 10;
    spec.progressDeadlineSeconds ??= 600;
    defaultTemplate(spec.template);
  },
  validate(object) {
    const { spec } = deployment(object);
    return [
      ...validateReplicas(spec.replicas),
      ...validateSelector(spec.selector, spec.template),
      ...validateTemplate(spec.template, 'spec.template', ['Always']),
      ...validateStrategy(spec),
      ...notNegative('spec.minReadySeconds', spec.minReadySeconds),
      ...notNegative('spec.revisionHistoryLimit', spec.revisionHistoryLimit),
      ...validateDeadline(spec),
    ];
  },
  validateUpdate: fixedSelector,
  validateStatus: (next) => validateCounts(next),
});

/** A part cannot be more than the whole. */
function validateCounts(object: ApiObject): FieldError[] {
  const status = (object['status'] ?? {}) as Record<string, number | undefined>;
  const { replicas = 0 } = status;
  const parts = ['updatedReplicas', 'readyReplicas', 'availableReplicas'];
  return [
    ...['replicas', ...parts].flatMap((field) => notNegative(`status.${field}`, status[field])),
    ...parts
      .filter((field) => (status[field] ?? 0) > replicas)
      .map((field) => fieldInvalid(`status.${field}`, status[field], 'cannot be greater than status.replicas')),
  ];
}

function validateStrategy({ strategy }: Spec<V1Deployment>): FieldError[] {
  const { type = '', rollingUpdate } = strategy ?? {};
  if (type === 'Recreate')
    return rollingUpdate === undefined
      ? []
      : [fieldForbidden('spec.strategy.rollingUpdate', "may not be specified when strategy `type` is 'Recreate'")];
  if (type !== 'RollingUpdate') return [strategyNotSupported('spec.strategy', type, ['Recreate', 'RollingUpdate'])];
  const zero = (value: unknown) => value === 0 || value === '0%';
  return zero(rollingUpdate?.maxUnavailable) && zero(rollingUpdate?.maxSurge)
    ? [
        fieldInvalid(
          'spec.strategy.rollingUpdate.maxUnavailable',
          rollingUpdate?.maxUnavailable,
          'may not be 0 when `maxSurge` is 0',
        ),
      ]
    : [];
}

function validateDeadline({ progressDeadlineSeconds, minReadySeconds = 0 }: Spec<V1Deployment>): FieldError[] {
  if (progressDeadlineSeconds === undefined) return [];
  const wrong = notNegative('spec.progressDeadlineSeconds', progressDeadlineSeconds);
  return progressDeadlineSeconds > minReadySeconds
    ? wrong
    : [
        ...wrong,
        fieldInvalid('spec.progressDeadlineSeconds', progressDeadlineSeconds, 'must be greater than minReadySeconds'),
      ];
}

const replicaSetKind = row({
  group: 'apps',
  kind: 'ReplicaSet',
  resource: 'replicasets',
  shortNames: ['rs'],
  categories: ['all'],
  namespaced: true,
  status: true,
  generation: true,
  selectable: { 'status.replicas': (o) => String(count(replicaSet(o).status?.replicas)) },
  scale: { selector: (o) => selectorTerms(replicaSet(o).spec.selector) },
  columns: [
    nameColumn,
    { name: 'Desired', type: 'integer', cell: (o) => count(replicaSet(o).spec.replicas) },
    { name: 'Current', type: 'integer', cell: (o) => count(replicaSet(o).status?.replicas) },
    { name: 'Ready', type: 'integer', cell: (o) => count(replicaSet(o).status?.readyReplicas) },
    ageColumn,
    ...containerColumns(template),
    selectorColumn((o) => selectorText(replicaSet(o).spec.selector)),
  ],
  defaults(draft) {
    const { spec } = replicaSet(draft);
    spec.replicas ??= 1;
    if (spec.template !== undefined) defaultTemplate(spec.template);
  },
  prepareCreate(draft) {
    draft['status'] = { replicas: 0 };
  },
  validate(object) {
    const { spec } = replicaSet(object);
    return [
      ...validateReplicas(spec.replicas),
      ...notNegative('spec.minReadySeconds', spec.minReadySeconds),
      ...validateSelector(spec.selector, spec.template),
      ...validateTemplate(spec.template, 'spec.template', ['Always']),
    ];
  },
  validateUpdate: fixedSelector,
});

const replicationControllerKind = row({
  group: '',
  kind: 'ReplicationController',
  resource: 'replicationcontrollers',
  defaultPropagation: 'Orphan',
  shortNames: ['rc'],
  categories: ['all'],
  namespaced: true,
  status: true,
  generation: true,
  selectable: { 'status.replicas': (o) => String(count(controller(o).status?.replicas)) },
  scale: { selector: (o) => selectorTerms({ matchLabels: controller(o).spec.selector ?? {} }) },
  columns: [
    nameColumn,
    { name: 'Desired', type: 'integer', cell: (o) => count(controller(o).spec.replicas) },
    { name: 'Current', type: 'integer', cell: (o) => count(controller(o).status?.replicas) },
    { name: 'Ready', type: 'integer', cell: (o) => count(controller(o).status?.readyReplicas) },
    ageColumn,
    ...containerColumns(template),
    selectorColumn((o) => labelsText(controller(o).spec.selector)),
  ],
  defaults(draft) {
    const { spec } = controller(draft);
    spec.replicas ??= 1;
    const labels = spec.template?.metadata?.labels;
    if (labels !== undefined) {
      spec.selector ??= { ...labels };
      draft.metadata.labels ??= { ...labels };
    }
    if (spec.template !== undefined) defaultTemplate(spec.template);
  },
  prepareCreate(draft) {
    draft['status'] = { replicas: 0 };
  },
  validate(object) {
    const { spec } = controller(object);
    const { selector = {}, template: pods } = spec;
    const errors = validateReplicas(spec.replicas);
    if (Object.keys(selector).length === 0) errors.push(fieldRequired('spec.selector'));
    if (pods === undefined) return [...errors, fieldRequired('spec.template')];
    const labels = pods.metadata?.labels ?? {};
    if (Object.entries(selector).some(([key, value]) => labels[key] !== value))
      errors.push(fieldInvalid('spec.template.metadata.labels', labels, '`selector` does not match template `labels`'));
    return [...errors, ...validateTemplate(pods, 'spec.template', ['Always'])];
  },
});

const statefulSetKind = row({
  group: 'apps',
  kind: 'StatefulSet',
  resource: 'statefulsets',
  shortNames: ['sts'],
  categories: ['all'],
  namespaced: true,
  status: true,
  generation: true,
  scale: { selector: (o) => selectorTerms(statefulSet(o).spec.selector) },
  columns: [
    nameColumn,
    {
      name: 'Ready',
      cell: (o) => `${count(statefulSet(o).status?.readyReplicas)}/${count(statefulSet(o).spec.replicas)}`,
    },
    ageColumn,
    ...containerColumns(template),
  ],
  defaults(draft) {
    const { spec } = statefulSet(draft);
    spec.podManagementPolicy ||= 'OrderedReady';
    const strategy = (spec.updateStrategy ??= {});
    if (!strategy.type) {
      strategy.type = 'RollingUpdate';
      strategy.rollingUpdate ??= {};
    }
    if (strategy.type === 'RollingUpdate' && strategy.rollingUpdate !== undefined) {
      strategy.rollingUpdate.partition ??= 0;
    }
    const retention = (spec.persistentVolumeClaimRetentionPolicy ??= {});
    retention.whenDeleted ||= 'Retain';
    retention.whenScaled ||= 'Retain';
    spec.replicas ??= 1;
    spec.revisionHistoryLimit ??= 10;
    for (const claim of spec.volumeClaimTemplates ?? []) {
      claim.kind = 'PersistentVolumeClaim';
      claim.apiVersion = 'v1';
      defaultClaim(claim);
    }
    defaultTemplate(spec.template);
  },
  prepareCreate(draft) {
    draft['status'] = { replicas: 0, availableReplicas: 0 };
  },
  validate(object) {
    const { spec } = statefulSet(object);
    const { podManagementPolicy, updateStrategy: { type = '' } = {} } = spec;
    return [
      ...(podManagementPolicy === 'OrderedReady' || podManagementPolicy === 'Parallel'
        ? []
        : [fieldInvalid('spec.podManagementPolicy', podManagementPolicy, "must be 'OrderedReady' or 'Parallel'")]),
      ...(type === 'RollingUpdate' || type === 'OnDelete'
        ? []
        : [fieldInvalid('spec.updateStrategy', spec.updateStrategy, "must be 'RollingUpdate' or 'OnDelete'")]),
      ...validateReplicas(spec.replicas),
      ...notNegative('spec.minReadySeconds', spec.minReadySeconds),
      ...validateSelector(spec.selector, spec.template),
      ...validateTemplate(spec.template, 'spec.template', ['Always']),
    ];
  },
  validateUpdate(next, previous) {
    const fixed = (object: ApiObject) =>
      Object.fromEntries(
        Object.entries(object['spec'] as object).filter(([field]) => !mutableStatefulSetFields.includes(field)),
      );
    if (equalJson(fixed(next), fixed(previous))) return [];
    const list = mutableStatefulSetFields.map((field) => `'${field}'`);
    return [
      fieldForbidden(
        'spec',
        `updates to statefulset spec for fields other than ${list.slice(0, -1).join(', ')} and ${list.at(-1)} are forbidden`,
      ),
    ];
  },
});

const daemonSetKind = row({
  group: 'apps',
  kind: 'DaemonSet',
  resource: 'daemonsets',
  shortNames: ['ds'],
  categories: ['all'],
  namespaced: true,
  status: true,
  generation: true,
  columns: [
    nameColumn,
    { name: 'Desired', type: 'integer', cell: (o) => count(daemonSet(o).status?.desiredNumberScheduled) },
    { name: 'Current', type: 'integer', cell: (o) => count(daemonSet(o).status?.currentNumberScheduled) },
    { name: 'Ready', type: 'integer', cell: (o) => count(daemonSet(o).status?.numberReady) },
    { name: 'Up-to-date', type: 'integer', cell: (o) => count(daemonSet(o).status?.updatedNumberScheduled) },
    { name: 'Available', type: 'integer', cell: (o) => count(daemonSet(o).status?.numberAvailable) },
    { name: 'Node Selector', cell: (o) => labelsText(daemonSet(o).spec.template.spec?.nodeSelector) },
    ageColumn,
    ...containerColumns(template),
    selectorColumn((o) => selectorText(daemonSet(o).spec.selector)),
  ],
  defaults(draft) {
    const { spec } = daemonSet(draft);
    const strategy = (spec.updateStrategy ??= {});
    strategy.type ||= 'RollingUpdate';
    if (strategy.type === 'RollingUpdate') {
      const rolling = (strategy.rollingUpdate ??= {});
      rolling.maxUnavailable ??= 1;
      rolling.maxSurge ??= 0;
    }
    spec.revisionHistoryLimit ??= 10;
    defaultTemplate(spec.template);
  },
  prepareCreate(draft) {
    draft['status'] = { currentNumberScheduled: 0, numberMisscheduled: 0, desiredNumberScheduled: 0, numberReady: 0 };
    draft.metadata.annotations = {
      ...draft.metadata.annotations,
      'deprecated.daemonset.template.generation': '1',
    };
  },
  prepareUpdate(next, previous) {
    const key = 'deprecated.daemonset.template.generation';
    const before = Number(previous.metadata.annotations?.[key] ?? 0);
    const same = equalJson(daemonSet(next).spec.template, daemonSet(previous).spec.template);
    next.metadata = {
      ...next.metadata,
      annotations: { ...next.metadata.annotations, [key]: String(same ? before : before + 1) },
    };
  },
  validate(object) {
    const { spec } = daemonSet(object);
    const { type = '' } = spec.updateStrategy ?? {};
    return [
      ...(type === 'RollingUpdate' || type === 'OnDelete'
        ? []
        : [strategyNotSupported('spec.updateStrategy', type, ['RollingUpdate', 'OnDelete'])]),
      ...notNegative('spec.minReadySeconds', spec.minReadySeconds),
      ...validateSelector(spec.selector, spec.template),
      ...validateTemplate(spec.template, 'spec.template', ['Always']),
    ];
  },
  validateUpdate: fixedSelector,
});

const controllerRevisionKind = row({
  group: 'apps',
  kind: 'ControllerRevision',
  resource: 'controllerrevisions',
  namespaced: true,
  columns: [
    nameColumn,
    { name: 'Controller', cell: (o) => ownerText(o) },
    { name: 'Revision', cell: (o) => (o as unknown as Wire<V1ControllerRevision>).revision },
    ageColumn,
  ],
  validateUpdate: (next, previous) =>
    equalJson(next['data'], previous['data']) ? [] : [fieldInvalid('data', next['data'], 'field is immutable')],
});

function ownerText({ metadata }: ApiObject): string {
  const owner = metadata.ownerReferences?.find((reference) => reference.controller === true);
  if (owner === undefined) return '<none>';
  const [group, version] = owner.apiVersion.split('/');
  return `${`${owner.kind}${version === undefined ? '' : `.${group}`}`.toLowerCase()}/${owner.name}`;
}

const podTemplateKind = row({
  group: '',
  kind: 'PodTemplate',
  resource: 'podtemplates',
  namespaced: true,
  generation: true,
  columns: [
    nameColumn,
    ...containerColumns((o) => (o['template'] as Template | undefined)?.spec?.containers).map(
      ({ priority: _wide, ...column }) => column,
    ),
    { name: 'Pod Labels', cell: (o) => labelsText((o['template'] as Template | undefined)?.metadata?.labels) },
  ],
  defaults: (draft) => defaultTemplate(draft['template'] as Template),
  validate: (object) => validateTemplate(object['template'] as Template, 'template', ['Always', 'OnFailure', 'Never']),
});

export const workloadKinds: readonly Kind[] = [
  replicationControllerKind,
  podTemplateKind,
  deploymentKind,
  replicaSetKind,
  statefulSetKind,
  daemonSetKind,
  controllerRevisionKind,
];
