/** Jobs and cron jobs; follows pkg/registry/batch and pkg/apis/batch (defaults, validation). */
import type { V1CronJob, V1Job } from '@kubernetes/client-node';

import { rfc3339 } from '../../core/clock.ts';
import type { Wire } from '../../core/objects.ts';
import { fieldInvalid, fieldNotSupported, fieldRequired, type FieldError } from '../api-error.ts';
import type { ApiObject, DraftObject } from '../api-object.ts';
import { equalJson } from '../json.ts';
import { ageColumn, containerColumns, nameColumn, selectorColumn, selectorText } from './columns.ts';
import { validateCron } from './cron-schedule.ts';
import { ageOf, humanDuration } from './human-duration.ts';
import { row, type Kind } from './kind.ts';
import { defaultTemplate, validateTemplate } from './pod-template.ts';

type JobSpec = NonNullable<Wire<V1Job>['spec']>;
type Stored<T extends { spec?: unknown }> = T & { spec: NonNullable<T['spec']> };

const job = (o: ApiObject | DraftObject) => o as unknown as Stored<Wire<V1Job>>;
const cronJob = (o: ApiObject | DraftObject) => o as unknown as Stored<Wire<V1CronJob>>;
const restartPolicies = ['OnFailure', 'Never'];
const uidLabel = 'batch.kubernetes.io/controller-uid';

const jobKind = row({
  group: 'batch',
  kind: 'Job',
  resource: 'jobs',
  categories: ['all'],
  namespaced: true,
  status: true,
  generation: true,
  defaultPropagation: 'Orphan',
  selectable: { 'status.successful': (o) => String(job(o).status?.succeeded ?? 0) },
  columns: [
    nameColumn,
    { name: 'Status', cell: (o) => stateOf(o) },
    { name: 'Completions', cell: (o) => completions(job(o)) },
    { name: 'Duration', cell: (o, now) => lasting(job(o), now) },
    ageColumn,
    ...containerColumns((o) => job(o).spec.template.spec?.containers),
    selectorColumn((o) => selectorText(job(o).spec.selector)),
  ],
  defaults(draft) {
    const { spec } = job(draft);
    if (spec.parallelism === undefined) spec.completions ??= 1;
    spec.parallelism ??= 1;
    spec.backoffLimit ??= spec.backoffLimitPerIndex === undefined ? 6 : 2 ** 31 - 1;
    spec.completionMode ??= 'NonIndexed';
    spec.suspend ??= false;
    spec.podReplacementPolicy ??= spec.podFailurePolicy === undefined ? 'TerminatingOrFailed' : 'Failed';
    spec.manualSelector ??= false;
    for (const rule of spec.podFailurePolicy?.rules ?? [])
      for (const pattern of rule.onPodConditions ?? []) pattern.status ||= 'True';
    defaultTemplate(spec.template);
  },
  prepareCreate(draft) {
    if (job(draft).spec.manualSelector !== true) generateSelector(draft);
    const labels = job(draft).spec.template.metadata?.labels;
    if (labels !== undefined && Object.keys(draft.metadata.labels ?? {}).length === 0)
      draft.metadata.labels = { ...labels };
    draft['status'] = {};
  },
  validate: (object) => validateJobSpec(job(object).spec, 'spec'),
  validateCreate: (object) => validateGenerated(object),
  validateUpdate(next, previous) {
    const errors: FieldError[] = [];
    const now = job(next).spec;
    const before = job(previous).spec;
    const indexed = now.completionMode === 'Indexed' && now.completions === now.parallelism;
    const suspended = before.suspend === true && job(previous).status?.startTime === undefined;
    if (now.completions !== before.completions && !indexed)
      errors.push(fieldInvalid('spec.completions', now.completions, 'field is immutable'));
    if (!equalJson(now.selector, before.selector))
      errors.push(fieldInvalid('spec.selector', now.selector, 'field is immutable'));
    if (!equalJson(now.template, suspended ? withSchedulingOf(before.template, now.template) : before.template))
      errors.push(fieldInvalid('spec.template', now.template, 'field is immutable'));
    if (now.completionMode !== before.completionMode)
      errors.push(fieldInvalid('spec.completionMode', now.completionMode, 'field is immutable'));
    return errors;
  },
});

/** A job that never started may still be told where to run. */
function withSchedulingOf(template: JobSpec['template'], wanted: JobSpec['template']): JobSpec['template'] {
  const copy = structuredClone(template) as { metadata?: unknown; spec?: Record<string, unknown> };
  copy.metadata = wanted.metadata;
  for (const field of ['nodeSelector', 'affinity', 'tolerations', 'schedulingGates'] as const) {
    const value = wanted.spec?.[field];
    if (copy.spec === undefined) continue;
    if (value === undefined) delete copy.spec[field];
    else copy.spec[field] = value;
  }
  return copy as JobSpec['template'];
}

/** Its pods are recognised by the job's UID, under the old label and the new one. */
function generateSelector(draft: DraftObject): void {
  const { spec, metadata } = job(draft);
  const uid = metadata?.uid ?? '';
  const name = metadata?.name ?? '';
  const labels = { [uidLabel]: uid, 'batch.kubernetes.io/job-name': name, 'controller-uid': uid, 'job-name': name };
  spec.template.metadata = {
    ...spec.template.metadata,
    labels: { ...spec.template.metadata?.labels, ...labels },
  };
  spec.selector = { ...spec.selector, matchLabels: { ...spec.selector?.matchLabels, [uidLabel]: uid } };
}

function validateGenerated(object: ApiObject): FieldError[] {
  const { spec, metadata } = job(object);
  const errors: FieldError[] = [];
  if (spec.manualSelector !== true && !equalJson(spec.selector, { matchLabels: { [uidLabel]: metadata?.uid } }))
    errors.push(fieldInvalid('spec.selector', spec.selector, '`selector` not auto-generated'));
  const labels = spec.template.metadata?.labels ?? {};
  if (Object.entries(spec.selector?.matchLabels ?? {}).some(([key, value]) => labels[key] !== value))
    errors.push(fieldInvalid('spec.template.metadata.labels', labels, '`selector` does not match template `labels`'));
  return errors;
}

function validateJobSpec(spec: JobSpec, at: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const field of [
    'parallelism',
    'completions',
    'activeDeadlineSeconds',
    'backoffLimit',
    'ttlSecondsAfterFinished',
  ] as const) {
    const value = spec[field];
    if (value !== undefined && value < 0)
      errors.push(fieldInvalid(`${at}.${field}`, value, 'must be greater than or equal to 0'));
  }
  if (spec.completionMode !== undefined && !['NonIndexed', 'Indexed'].includes(spec.completionMode))
    errors.push(fieldNotSupported(`${at}.completionMode`, spec.completionMode, ['NonIndexed', 'Indexed']));
  if (spec.completionMode === 'Indexed' && spec.completions === undefined)
    errors.push(fieldRequired(`${at}.completions`, 'when completion mode is Indexed'));
  const { restartPolicy } = spec.template.spec ?? {};
  errors.push(...validateTemplate(spec.template, `${at}.template`, ['Always', ...restartPolicies]));
  if (restartPolicy === 'Always')
    errors.push(
      fieldRequired(
        `${at}.template.spec.restartPolicy`,
        `valid values: ${restartPolicies.map((policy) => JSON.stringify(policy)).join(', ')}`,
      ),
    );
  return errors;
}

function stateOf(object: ApiObject): string {
  const { status } = job(object);
  const has = (type: string) => status?.conditions?.some((c) => c.type === type && c.status === 'True') === true;
  if (has('Complete')) return 'Complete';
  if (has('Failed')) return 'Failed';
  if (object.metadata.deletionTimestamp !== undefined) return 'Terminating';
  return ['Suspended', 'FailureTarget', 'SuccessCriteriaMet'].find(has) ?? 'Running';
}

function completions({ spec, status }: Stored<Wire<V1Job>>): string {
  const done = status?.succeeded ?? 0;
  if (spec.completions !== undefined) return `${done}/${spec.completions}`;
  return (spec.parallelism ?? 0) > 1 ? `${done}/1 of ${spec.parallelism}` : `${done}/1`;
}

function lasting({ status }: Stored<Wire<V1Job>>, now: number): string {
  if (status?.startTime === undefined) return '';
  return humanDuration(Date.parse(status.completionTime ?? rfc3339(now)) - Date.parse(status.startTime));
}

const cronJobKind = row({
  group: 'batch',
  kind: 'CronJob',
  resource: 'cronjobs',
  shortNames: ['cj'],
  categories: ['all'],
  namespaced: true,
  status: true,
  generation: true,
  columns: [
    nameColumn,
    { name: 'Schedule', cell: (o) => cronJob(o).spec.schedule },
    { name: 'Timezone', cell: (o) => cronJob(o).spec.timeZone ?? '<none>' },
    { name: 'Suspend', type: 'boolean', cell: (o) => (cronJob(o).spec.suspend === true ? 'True' : 'False') },
    { name: 'Active', type: 'integer', cell: (o) => cronJob(o).status?.active?.length ?? 0 },
    {
      name: 'Last Schedule',
      cell: (o, now) => {
        const last = cronJob(o).status?.lastScheduleTime;
        return last === undefined ? '<none>' : ageOf(last, now);
      },
    },
    ageColumn,
    ...containerColumns((o) => cronJob(o).spec.jobTemplate.spec?.template.spec?.containers),
    selectorColumn((o) => selectorText(cronJob(o).spec.jobTemplate.spec?.selector)),
  ],
  defaults(draft) {
    const { spec } = cronJob(draft);
    spec.concurrencyPolicy ||= 'Allow';
    spec.suspend ??= false;
    spec.successfulJobsHistoryLimit ??= 3;
    spec.failedJobsHistoryLimit ??= 1;
    const template = spec.jobTemplate.spec?.template;
    if (template !== undefined) defaultTemplate(template);
  },
  prepareCreate(draft) {
    draft['status'] = {};
  },
  validate(object) {
    const { metadata, spec } = cronJob(object);
    const errors = validateCron(spec.schedule, spec.timeZone);
    // A job's name is this one's and eleven characters more.
    if ((metadata?.name ?? '').length > 52)
      errors.unshift(fieldInvalid('metadata.name', metadata?.name, 'must be no more than 52 characters'));
    const { concurrencyPolicy = '', startingDeadlineSeconds } = spec;
    const policies = ['Allow', 'Forbid', 'Replace'];
    if (!policies.includes(concurrencyPolicy))
      errors.push(fieldNotSupported('spec.concurrencyPolicy', concurrencyPolicy, policies));
    if (startingDeadlineSeconds !== undefined && startingDeadlineSeconds < 0)
      errors.push(
        fieldInvalid('spec.startingDeadlineSeconds', startingDeadlineSeconds, 'must be greater than or equal to 0'),
      );
    for (const field of ['successfulJobsHistoryLimit', 'failedJobsHistoryLimit'] as const) {
      const value = spec[field] ?? 0;
      if (value < 0) errors.push(fieldInvalid(`spec.${field}`, value, 'must be greater than or equal to 0'));
    }
    const template = spec.jobTemplate.spec;
    return template === undefined ? errors : [...errors, ...validateJobSpec(template, 'spec.jobTemplate.spec')];
  },
});

export const batchKinds: readonly Kind[] = [jobKind, cronJobKind];
