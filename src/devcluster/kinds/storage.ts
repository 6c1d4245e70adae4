/** Volumes, claims and what CSI drivers say of themselves; follows pkg/apis/{core,storage} and their registries. */
import type {
  V1CSIDriver,
  V1CSINode,
  V1PersistentVolume,
  V1PersistentVolumeClaim,
  V1StorageClass,
  V1VolumeAttachment,
} from '@kubernetes/client-node';

import { rfc3339 } from '../../core/clock.ts';
import type { Wire } from '../../core/objects.ts';
import { fieldForbidden, fieldInvalid, fieldNotSupported, fieldRequired, type FieldError } from '../api-error.ts';
import type { ApiObject, DraftObject } from '../api-object.ts';
import { equalJson } from '../json.ts';
import { ageColumn, nameColumn } from './columns.ts';
import { row, type Column, type Kind } from './kind.ts';

type Claim = Wire<V1PersistentVolumeClaim>;
type VolumeSpec = NonNullable<Wire<V1PersistentVolume>['spec']>;

const volume = (o: ApiObject | DraftObject) => o as unknown as Wire<V1PersistentVolume> & { spec: VolumeSpec };
const claim = (o: ApiObject | DraftObject) => o as unknown as Claim;
const storageClass = (o: ApiObject | DraftObject) => o as unknown as Wire<V1StorageClass>;
const csiDriver = (o: ApiObject | DraftObject) => o as unknown as Wire<V1CSIDriver>;
const attachment = (o: ApiObject) => o as unknown as Wire<V1VolumeAttachment>;

const accessModes = ['ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOnce', 'ReadWriteOncePod'];
const shortModes: Readonly<Record<string, string>> = {
  ReadWriteOnce: 'RWO',
  ReadOnlyMany: 'ROX',
  ReadWriteMany: 'RWX',
  ReadWriteOncePod: 'RWOP',
};
const classAnnotation = 'volume.beta.kubernetes.io/storage-class';
const defaultClassAnnotations = [
  'storageclass.kubernetes.io/is-default-class',
  'storageclass.beta.kubernetes.io/is-default-class',
];
/** Fields of a volume's spec that are not what it is made of. */
const volumeFields = [
  'accessModes',
  'capacity',
  'claimRef',
  'mountOptions',
  'nodeAffinity',
  'persistentVolumeReclaimPolicy',
  'storageClassName',
  'volumeAttributesClassName',
  'volumeMode',
];

/** The StorageObjectInUseProtection admission plugin; a controller takes the finalizer away when nobody uses it. */
function protect({ metadata }: DraftObject, finalizer: string): void {
  if (metadata.finalizers?.includes(finalizer) !== true)
    metadata.finalizers = [...(metadata.finalizers ?? []), finalizer];
}

function modesText(modes: readonly string[] | undefined): string {
  return Object.keys(shortModes)
    .filter((mode) => modes?.includes(mode))
    .map((mode) => shortModes[mode])
    .join(',');
}

function sourceOf(spec: VolumeSpec): Record<string, unknown> {
  return Object.fromEntries(Object.entries(spec).filter(([field]) => !volumeFields.includes(field)));
}

const persistentVolumeKind = row({
  group: '',
  kind: 'PersistentVolume',
  resource: 'persistentvolumes',
  shortNames: ['pv'],
  namespaced: false,
  status: true,
  returnsDeleted: true,
  columns: [
    nameColumn,
    { name: 'Capacity', cell: (o) => volume(o).spec.capacity?.['storage'] ?? '0' },
    { name: 'Access Modes', cell: (o) => modesText(volume(o).spec.accessModes) },
    { name: 'Reclaim Policy', cell: (o) => volume(o).spec.persistentVolumeReclaimPolicy ?? '' },
    { name: 'Status', cell: (o) => phaseText(o, volume(o).status?.phase) },
    {
      name: 'Claim',
      cell: (o) => {
        const ref = volume(o).spec.claimRef;
        return ref === undefined ? '' : `${ref.namespace ?? ''}/${ref.name ?? ''}`;
      },
    },
    {
      name: 'StorageClass',
      cell: (o) => o.metadata.annotations?.[classAnnotation] ?? volume(o).spec.storageClassName ?? '',
    },
    { name: 'VolumeAttributesClass', cell: (o) => volume(o).spec.volumeAttributesClassName ?? '<unset>' },
    { name: 'Reason', cell: (o) => volume(o).status?.reason ?? '' },
    ageColumn,
    { name: 'VolumeMode', priority: 1, cell: (o) => volume(o).spec.volumeMode ?? '<unset>' },
  ],
  defaults(draft) {
    const { spec } = volume(draft);
    spec.persistentVolumeReclaimPolicy ||= 'Retain';
    spec.volumeMode ??= 'Filesystem';
    if (spec.hostPath !== undefined) spec.hostPath.type ??= '';
    if (spec.iscsi !== undefined) spec.iscsi.iscsiInterface ||= 'default';
    const status = ((draft as unknown as Wire<V1PersistentVolume>).status ??= {});
    status.phase ||= 'Pending';
  },
  prepareCreate(draft, { clock }) {
    protect(draft, 'kubernetes.io/pv-protection');
    draft['status'] = { phase: 'Pending', lastPhaseTransitionTime: rfc3339(clock.now()) };
  },
  prepareStatus(next, previous, { clock }) {
    const status = volume(next).status ?? {};
    if (status.phase !== volume(previous).status?.phase) status.lastPhaseTransitionTime = rfc3339(clock.now());
    next['status'] = status;
  },
  validate(object) {
    const { spec } = volume(object);
    const errors: FieldError[] = [];
    if ((spec.accessModes ?? []).length === 0) errors.push(fieldRequired('spec.accessModes'));
    errors.push(...validateModes(spec.accessModes));
    if (spec.capacity === undefined) {
      errors.push(fieldRequired('spec.capacity'), fieldNotSupported('spec.capacity', null, ['storage']));
    } else if (spec.capacity['storage'] === undefined || Object.keys(spec.capacity).length > 1)
      errors.push(fieldNotSupported('spec.capacity', spec.capacity, ['storage']));
    const policies = ['Delete', 'Recycle', 'Retain'];
    const { persistentVolumeReclaimPolicy: reclaim = '' } = spec;
    if (!policies.includes(reclaim))
      errors.push(fieldNotSupported('spec.persistentVolumeReclaimPolicy', reclaim, policies));
    const sources = Object.keys(sourceOf(spec));
    if (sources.length === 0) errors.push(fieldRequired('spec', 'must specify a volume type'));
    for (const extra of sources.slice(1))
      errors.push(fieldForbidden(`spec.${extra}`, 'may not specify more than 1 volume type'));
    return errors;
  },
  validateUpdate(next, previous) {
    const errors: FieldError[] = [];
    if (!equalJson(sourceOf(volume(next).spec), sourceOf(volume(previous).spec)))
      errors.push(
        fieldForbidden('spec.persistentvolumesource', 'spec.persistentvolumesource is immutable after creation'),
      );
    if (volume(next).spec.volumeMode !== volume(previous).spec.volumeMode)
      errors.push(fieldInvalid('spec.volumeMode', volume(next).spec.volumeMode, 'field is immutable'));
    return errors;
  },
});

function phaseText({ metadata }: ApiObject, phase: string | undefined): string {
  return metadata.deletionTimestamp === undefined ? (phase ?? '') : 'Terminating';
}

function validateModes(modes: readonly string[] = []): FieldError[] {
  const errors: FieldError[] = modes
    .filter((mode) => !accessModes.includes(mode))
    .map((mode) => fieldNotSupported('spec.accessModes', mode, accessModes));
  if (modes.includes('ReadWriteOncePod') && modes.length > 1)
    errors.push(fieldForbidden('spec.accessModes', 'may not use ReadWriteOncePod with other access modes'));
  return errors;
}

/** Fills in a claim, which may also be a stateful set's template of one. */
export function defaultClaim(object: Claim): void {
  const spec = (object.spec ??= {});
  spec.volumeMode ??= 'Filesystem';
  const status = (object.status ??= {});
  status.phase ||= 'Pending';
}

const persistentVolumeClaimKind = row({
  group: '',
  kind: 'PersistentVolumeClaim',
  resource: 'persistentvolumeclaims',
  shortNames: ['pvc'],
  namespaced: true,
  status: true,
  returnsDeleted: true,
  columns: [
    nameColumn,
    { name: 'Status', cell: (o) => phaseText(o, claim(o).status?.phase) },
    { name: 'Volume', cell: (o) => claim(o).spec?.volumeName ?? '' },
    {
      name: 'Capacity',
      cell: (o) => (claim(o).spec?.volumeName ? (claim(o).status?.capacity?.['storage'] ?? '0') : ''),
    },
    { name: 'Access Modes', cell: (o) => (claim(o).spec?.volumeName ? modesText(claim(o).status?.accessModes) : '') },
    {
      name: 'StorageClass',
      cell: (o) => o.metadata.annotations?.[classAnnotation] ?? claim(o).spec?.storageClassName ?? '',
    },
    { name: 'VolumeAttributesClass', cell: (o) => claim(o).spec?.volumeAttributesClassName ?? '<unset>' },
    ageColumn,
    { name: 'VolumeMode', priority: 1, cell: (o) => claim(o).spec?.volumeMode ?? '<unset>' },
  ],
  defaults: (draft) => defaultClaim(claim(draft)),
  prepareCreate(draft, { store }) {
    protect(draft, 'kubernetes.io/pvc-protection');
    draft['status'] = { phase: 'Pending' };
    const spec = claim(draft).spec ?? {};
    if (spec.storageClassName !== undefined || draft.metadata.annotations?.[classAnnotation] !== undefined) return;
    // The DefaultStorageClass admission plugin: the newest class that says it is the default.
    const newest = store
      .list({ group: 'storage.k8s.io', resource: 'storageclasses' })
      .filter(isDefaultClass)
      .sort((a, b) => (String(a.metadata.creationTimestamp) < String(b.metadata.creationTimestamp) ? 1 : -1))[0];
    if (newest !== undefined) spec.storageClassName = newest.metadata.name;
  },
  validate(object) {
    const spec = claim(object).spec ?? {};
    const errors: FieldError[] = [];
    if ((spec.accessModes ?? []).length === 0)
      errors.push(fieldRequired('spec.accessModes', 'at least 1 access mode is required'));
    errors.push(...validateModes(spec.accessModes));
    const size = spec.resources?.requests?.['storage'];
    if (size === undefined) errors.push(fieldRequired('spec.resources[storage]'));
    else if (size === '0' || size.startsWith('-'))
      errors.push(fieldInvalid('spec.resources[storage]', size, 'must be greater than zero'));
    return errors;
  },
  validateUpdate(next, previous) {
    const now = claim(next).spec ?? {};
    const before = claim(previous).spec ?? {};
    const bound = claim(previous).status?.phase === 'Bound';
    const fixed = (spec: typeof now) => {
      const { resources, volumeAttributesClassName, volumeName, storageClassName, ...rest } = spec;
      return {
        ...rest,
        // A claim is bound, and given the default class, by whoever does so.
        ...(before.volumeName && { volumeName }),
        ...(before.storageClassName !== undefined && { storageClassName }),
        ...(!bound && { resources, volumeAttributesClassName }),
      };
    };
    return equalJson(fixed(now), fixed(before))
      ? []
      : [
          fieldForbidden(
            'spec',
            'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims',
          ),
        ];
  },
});

function isDefaultClass({ metadata }: ApiObject): boolean {
  return defaultClassAnnotations.some((annotation) => metadata.annotations?.[annotation] === 'true');
}

const storageClassKind = row({
  group: 'storage.k8s.io',
  kind: 'StorageClass',
  resource: 'storageclasses',
  shortNames: ['sc'],
  namespaced: false,
  returnsDeleted: true,
  columns: [
    { ...nameColumn, cell: (o) => (isDefaultClass(o) ? `${o.metadata.name} (default)` : o.metadata.name) },
    { name: 'Provisioner', cell: (o) => storageClass(o).provisioner },
    { name: 'ReclaimPolicy', cell: (o) => storageClass(o).reclaimPolicy ?? 'Delete' },
    { name: 'VolumeBindingMode', cell: (o) => storageClass(o).volumeBindingMode ?? 'Immediate' },
    { name: 'AllowVolumeExpansion', cell: (o) => storageClass(o).allowVolumeExpansion ?? false },
    ageColumn,
  ],
  defaults(draft) {
    const object = storageClass(draft);
    object.reclaimPolicy ??= 'Delete';
    object.volumeBindingMode ??= 'Immediate';
  },
  validate(object) {
    const { provisioner, reclaimPolicy = '', volumeBindingMode = '' } = storageClass(object);
    const errors: FieldError[] = [];
    if (!provisioner) errors.push(fieldRequired('provisioner'));
    if (!['Delete', 'Retain'].includes(reclaimPolicy))
      errors.push(fieldNotSupported('reclaimPolicy', reclaimPolicy, ['Delete', 'Retain']));
    const modes = ['Immediate', 'WaitForFirstConsumer'];
    if (!modes.includes(volumeBindingMode))
      errors.push(fieldNotSupported('volumeBindingMode', volumeBindingMode, modes));
    return errors;
  },
  validateUpdate(next, previous) {
    const now = storageClass(next);
    const before = storageClass(previous);
    const errors: FieldError[] = [];
    if (!equalJson(now.parameters, before.parameters))
      errors.push(fieldForbidden('parameters', 'updates to parameters are forbidden.'));
    for (const field of ['provisioner', 'reclaimPolicy', 'volumeBindingMode'] as const)
      if (now[field] !== before[field]) errors.push(fieldInvalid(field, now[field], 'field is immutable'));
    return errors;
  },
});

const csiDriverKind = row({
  group: 'storage.k8s.io',
  kind: 'CSIDriver',
  resource: 'csidrivers',
  namespaced: false,
  returnsDeleted: true,
  columns: [
    nameColumn,
    flag('AttachRequired', 'attachRequired', true),
    flag('PodInfoOnMount', 'podInfoOnMount', false),
    flag('StorageCapacity', 'storageCapacity', false),
    {
      name: 'TokenRequests',
      cell: (o) =>
        csiDriver(o)
          .spec.tokenRequests?.map(({ audience }) => audience)
          .join(',') ?? '<unset>',
    },
    flag('RequiresRepublish', 'requiresRepublish', false),
    { name: 'Modes', cell: (o) => (csiDriver(o).spec.volumeLifecycleModes ?? []).join(',') || '<none>' },
    ageColumn,
  ],
  defaults(draft) {
    const { spec } = csiDriver(draft);
    spec.attachRequired ??= true;
    spec.podInfoOnMount ??= false;
    spec.storageCapacity ??= false;
    spec.fsGroupPolicy ??= 'ReadWriteOnceWithFSType';
    if ((spec.volumeLifecycleModes ?? []).length === 0) spec.volumeLifecycleModes = ['Persistent'];
    spec.requiresRepublish ??= false;
    spec.seLinuxMount ??= false;
  },
});

function flag(
  name: string,
  field: 'attachRequired' | 'podInfoOnMount' | 'storageCapacity' | 'requiresRepublish',
  unset: boolean,
): Column {
  return { name, type: 'boolean', cell: (o) => csiDriver(o).spec[field] ?? unset };
}

const csiNodeKind = row({
  group: 'storage.k8s.io',
  kind: 'CSINode',
  resource: 'csinodes',
  namespaced: false,
  returnsDeleted: true,
  columns: [
    nameColumn,
    { name: 'Drivers', type: 'integer', cell: (o) => ((o as unknown as Wire<V1CSINode>).spec.drivers ?? []).length },
    ageColumn,
  ],
});

const volumeAttachmentKind = row({
  group: 'storage.k8s.io',
  kind: 'VolumeAttachment',
  resource: 'volumeattachments',
  namespaced: false,
  status: true,
  returnsDeleted: true,
  columns: [
    nameColumn,
    { name: 'Attacher', format: 'name', cell: (o) => attachment(o).spec.attacher },
    { name: 'PV', cell: (o) => attachment(o).spec.source.persistentVolumeName ?? '' },
    { name: 'Node', cell: (o) => attachment(o).spec.nodeName },
    { name: 'Attached', type: 'boolean', cell: (o) => attachment(o).status?.attached ?? false },
    ageColumn,
  ],
  validate(object) {
    const { attacher, nodeName } = attachment(object).spec;
    return [
      ...(attacher ? [] : [fieldRequired('spec.attacher')]),
      ...(nodeName ? [] : [fieldRequired('spec.nodeName')]),
    ];
  },
  validateUpdate: (next, previous) =>
    equalJson(next['spec'], previous['spec']) ? [] : [fieldInvalid('spec', next['spec'], 'field is immutable')],
});

export const storageKinds: readonly Kind[] = [
  persistentVolumeKind,
  persistentVolumeClaimKind,
  storageClassKind,
  csiDriverKind,
  csiNodeKind,
  volumeAttachmentKind,
];
