/** Events, served by two groups from one shelf; follows pkg/apis/events/v1/conversion.go and core/validation/events.go. */
import type { CoreV1Event } from '@kubernetes/client-node';

import type { Wire } from '../../core/objects.ts';
import { fieldInvalid, fieldRequired, type FieldError } from '../api-error.ts';
import type { ApiObject } from '../api-object.ts';
import { equalJson } from '../json.ts';
import { ageOf } from './human-duration.ts';
import { row, type Column, type Kind } from './kind.ts';

const event = (object: ApiObject) => object as unknown as Wire<CoreV1Event>;

/** What core/v1 calls a field, and what events.k8s.io calls it. */
const otherNames = [
  ['involvedObject', 'regarding'],
  ['message', 'note'],
  ['reportingComponent', 'reportingController'],
  ['source', 'deprecatedSource'],
  ['firstTimestamp', 'deprecatedFirstTimestamp'],
  ['lastTimestamp', 'deprecatedLastTimestamp'],
  ['count', 'deprecatedCount'],
] as const;

/** These are written even when they are unset. */
const coreZeros = { reportingComponent: '', reportingInstance: '' };

const firstSeen = (o: ApiObject, now: number) => ageOf(event(o).firstTimestamp ?? event(o).eventTime ?? undefined, now);

const columns: readonly Column[] = [
  {
    name: 'Last Seen',
    cell: (o, now) => {
      const { series, lastTimestamp } = event(o);
      if (series !== undefined) return ageOf(series.lastObservedTime ?? undefined, now);
      return lastTimestamp ? ageOf(lastTimestamp, now) : firstSeen(o, now);
    },
  },
  { name: 'Type', cell: (o) => event(o).type ?? '' },
  { name: 'Reason', cell: (o) => event(o).reason ?? '' },
  {
    name: 'Object',
    cell: (o) => {
      const { kind = '', name } = event(o).involvedObject;
      return name ? `${kind.toLowerCase()}/${name}` : kind.toLowerCase();
    },
  },
  { name: 'Subobject', priority: 1, cell: (o) => event(o).involvedObject.fieldPath ?? '' },
  {
    name: 'Source',
    priority: 1,
    cell: (o) => {
      const { source, reportingComponent, reportingInstance } = event(o);
      const component = source?.component || reportingComponent || '';
      const instance = source?.host || reportingInstance || '';
      return instance === '' ? component : `${component}, ${instance}`;
    },
  },
  { name: 'Message', cell: (o) => (event(o).message ?? '').trim() },
  { name: 'First Seen', priority: 1, cell: firstSeen },
  { name: 'Count', priority: 1, cell: (o) => event(o).series?.count ?? (event(o).count || 1) },
  { name: 'Name', format: 'name', priority: 1, cell: (o) => o.metadata.name },
];

const references = ['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'] as const;

function selectableReference(prefix: string): Record<string, (object: ApiObject) => string> {
  return Object.fromEntries(
    references.map((field) => [`${prefix}.${field}`, (o: ApiObject) => event(o).involvedObject?.[field] ?? '']),
  );
}

export const eventKind = row({
  group: '',
  kind: 'Event',
  resource: 'events',
  shortNames: ['ev'],
  namespaced: true,
  createOnUpdate: true,
  selectable: {
    ...selectableReference('involvedObject'),
    reason: (o) => event(o).reason ?? '',
    reportingComponent: (o) => event(o).reportingComponent ?? '',
    source: (o) => event(o).source?.component || event(o).reportingComponent || '',
    type: (o) => event(o).type ?? '',
  },
  columns,
  validate: validateNamespace,
});

function validateNamespace(object: ApiObject): FieldError[] {
  const about = event(object).involvedObject.namespace ?? '';
  const within = object.metadata.namespace;
  // Events about what has no namespace live in `default`.
  return about === within || (about === '' && (within === 'default' || within === 'kube-system'))
    ? []
    : [fieldInvalid('involvedObject.namespace', about, 'does not match event.namespace')];
}

/** The newer API takes only events that are complete, and never lets them change but for their series. */
function validateNewEvent(object: ApiObject): FieldError[] {
  const { series, eventTime, type = '', firstTimestamp, lastTimestamp, count, source } = event(object);
  const errors: FieldError[] = [];
  if (series !== undefined && (series.count ?? 0) < 2)
    errors.push(fieldInvalid('series.count', '', 'should be at least 2'));
  if (!eventTime) errors.push(fieldRequired('eventTime'));
  if (type !== 'Normal' && type !== 'Warning') errors.push(fieldInvalid('type', '', `has invalid value: ${type}`));
  for (const [field, set] of [
    ['firstTimestamp', firstTimestamp],
    ['lastTimestamp', lastTimestamp],
    ['count', count],
    ['source', source?.component || source?.host],
  ] as const)
    if (set) errors.push(fieldInvalid(field, '', 'needs to be unset'));
  return errors;
}

const fixedFields = [
  'involvedObject',
  'reason',
  'message',
  'source',
  'firstTimestamp',
  'lastTimestamp',
  'count',
  'type',
  'eventTime',
  'action',
  'related',
  'reportingComponent',
  'reportingInstance',
] as const;

/** The same events under the newer group, with its names for their fields. */
export const newEventKind: Kind = row({
  group: 'events.k8s.io',
  kind: 'Event',
  resource: 'events',
  shortNames: ['ev'],
  namespaced: true,
  createOnUpdate: true,
  schemaType: 'EventsEvent',
  storedAs: { kind: eventKind, fromStored: toNewEvent, toStored: toCoreEvent },
  selectable: {
    ...Object.fromEntries(
      Object.entries(selectableReference('regarding')).map(([field, of]) => [
        field,
        (o: ApiObject) => of(toCoreEvent(o)),
      ]),
    ),
    reason: (o) => event(o).reason ?? '',
    reportingController: (o) => event(toCoreEvent(o)).reportingComponent ?? '',
    type: (o) => event(o).type ?? '',
  },
  columns: columns.map((column) => ({ ...column, cell: (o, now) => column.cell(toCoreEvent(o), now) })),
  validate: (object) => validateNamespace(toCoreEvent(object)),
  validateCreate: (object) => validateNewEvent(toCoreEvent(object)),
  validateUpdate(next, previous) {
    const [now, before] = [toCoreEvent(next), toCoreEvent(previous)];
    return fixedFields
      .filter((field) => !equalJson(now[field], before[field]))
      .map((field) => fieldInvalid(field, now[field], 'field is immutable'));
  },
});

function toNewEvent(stored: ApiObject): ApiObject {
  const object: ApiObject = { ...stored, apiVersion: 'events.k8s.io/v1' };
  for (const [core, other] of otherNames) {
    delete object[core];
    if (stored[core] !== undefined && stored[core] !== '') object[other] = stored[core];
  }
  if (object['reportingInstance'] === '') delete object['reportingInstance'];
  return object;
}

function toCoreEvent(object: ApiObject): ApiObject {
  const stored: ApiObject = { ...object, ...coreZeros, apiVersion: 'v1' };
  if (object['reportingInstance'] !== undefined) stored['reportingInstance'] = object['reportingInstance'];
  for (const [core, other] of otherNames) {
    delete stored[other];
    if (object[other] !== undefined) stored[core] = object[other];
  }
  return stored;
}
