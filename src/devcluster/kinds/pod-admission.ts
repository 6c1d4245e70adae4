import type { V1PriorityClass, V1RuntimeClass } from '@kubernetes/client-node';

import type { Container, PodSpec, Toleration, Wire } from '../../core/objects.ts';
import { applyLimitRanges } from '../admission/limit-ranges.ts';
import { forbidden } from '../api-error.ts';
import type { ApiObject } from '../api-object.ts';
import { equalJson } from '../json.ts';
import { randomSuffix } from '../names.ts';
import type { ResourceStore } from '../store.ts';

const tokenMountPath = '/var/run/secrets/kubernetes.io/serviceaccount';
const mirrorAnnotation = 'kubernetes.io/config.mirror';
const pods = { group: '', resource: 'pods' };

interface PodDraft {
  readonly name: string;
  readonly namespace: string;
  readonly annotations: Record<string, string> | undefined;
  readonly spec: PodSpec;
}

/** What the API server's admission plugins that are on by default do to a new pod; returns its annotations. */
export function admitPod(pod: PodDraft, store: ResourceStore): Record<string, string> | undefined {
  const annotations = applyLimitRanges(pod, pod.namespace, store);
  admitServiceAccount(pod, store);
  admitPriority(pod, store);
  addDefaultTolerations(pod.spec);
  admitRuntimeClass(pod, store);
  return annotations;
}

const priorityClasses = { group: 'scheduling.k8s.io', resource: 'priorityclasses' };

/** Turns the name of a priority class into a priority. Follows plugin/pkg/admission/priority/admission.go. */
function admitPriority({ name, spec }: PodDraft, store: ResourceStore): void {
  const byValue = (a: V1PriorityClass, b: V1PriorityClass) => (a.value ?? 0) - (b.value ?? 0);
  const given = spec.priorityClassName || undefined;
  const wanted = (
    given === undefined
      ? (store.list(priorityClasses) as unknown as V1PriorityClass[]).filter((c) => c.globalDefault).sort(byValue)[0]
      : store.get(priorityClasses, undefined, given)
  ) as V1PriorityClass | undefined;
  if (given !== undefined && wanted === undefined)
    throw forbidden(pods, name, `no PriorityClass with name ${given} was found`);
  const className = wanted?.metadata?.name;
  if (className !== undefined) spec.priorityClassName = className;
  const priority = wanted?.value ?? 0;
  if (spec.priority !== undefined && spec.priority !== priority)
    throw forbidden(
      pods,
      name,
      `the integer value of priority (${spec.priority}) must not be provided in pod spec; priority admission controller computed ${priority} from the given PriorityClass name`,
    );
  const policy = wanted?.preemptionPolicy ?? 'PreemptLowerPriority';
  if (spec.preemptionPolicy !== undefined && spec.preemptionPolicy !== policy)
    throw forbidden(
      pods,
      name,
      `the string value of PreemptionPolicy (${spec.preemptionPolicy}) must not be provided in pod spec; priority admission controller computed ${policy} from the given PriorityClass name`,
    );
  spec.priority = priority;
  spec.preemptionPolicy = policy;
}

/** Adds what a runtime class costs and where it is to be found. Follows plugin/pkg/admission/runtimeclass/admission.go. */
function admitRuntimeClass({ name, spec }: PodDraft, store: ResourceStore): void {
  const refuse = (why: string) => forbidden(pods, name, `pod rejected: ${why}`);
  const { runtimeClassName } = spec;
  if (runtimeClassName === undefined) {
    if (Object.keys(spec.overhead ?? {}).length > 0)
      throw refuse('Pod Overhead set without corresponding RuntimeClass defined Overhead');
    return;
  }
  const found = store.get({ group: 'node.k8s.io', resource: 'runtimeclasses' }, undefined, runtimeClassName);
  if (found === undefined) throw refuse(`RuntimeClass ${JSON.stringify(runtimeClassName)} not found`);
  const { overhead, scheduling } = found as unknown as Wire<V1RuntimeClass>;
  if (overhead?.podFixed !== undefined) {
    if (spec.overhead !== undefined && !equalJson(spec.overhead, overhead.podFixed))
      throw refuse("Pod's Overhead doesn't match RuntimeClass's defined Overhead");
    spec.overhead = { ...overhead.podFixed };
  }
  for (const [key, value] of Object.entries(scheduling?.nodeSelector ?? {})) {
    const own = spec.nodeSelector?.[key];
    if (own !== undefined && own !== value)
      throw forbidden(
        pods,
        name,
        `conflict: runtimeClass.scheduling.nodeSelector[${key}] = ${value}; pod.spec.nodeSelector[${key}] = ${own}`,
      );
    spec.nodeSelector = { ...spec.nodeSelector, [key]: value };
  }
  for (const toleration of scheduling?.tolerations ?? [])
    if (!(spec.tolerations ?? []).some((own) => equalJson(own, toleration)))
      spec.tolerations = [...(spec.tolerations ?? []), { ...toleration }];
}

/** Follows plugin/pkg/admission/serviceaccount/admission.go. */
function admitServiceAccount({ name, namespace, annotations, spec }: PodDraft, store: ResourceStore): void {
  if (annotations?.[mirrorAnnotation] !== undefined) {
    if (spec.serviceAccountName) throw forbidden(pods, name, 'a mirror pod may not reference service accounts');
    return;
  }
  spec.serviceAccountName ||= 'default';
  spec.serviceAccount = spec.serviceAccountName;
  const account = store.get({ group: '', resource: 'serviceaccounts' }, namespace, spec.serviceAccountName);
  if (account === undefined) {
    const account = spec.serviceAccountName;
    throw forbidden(
      pods,
      name,
      `error looking up service account ${namespace}/${account}: serviceaccount ${JSON.stringify(account)} not found`,
    );
  }
  if (spec.automountServiceAccountToken ?? automounts(account)) mountToken(spec);
  const pullSecrets = account['imagePullSecrets'] as PodSpec['imagePullSecrets'];
  if ((spec.imagePullSecrets ?? []).length === 0 && pullSecrets !== undefined)
    spec.imagePullSecrets = structuredClone(pullSecrets);
}

function automounts(account: ApiObject): boolean {
  return (account['automountServiceAccountToken'] as boolean | undefined) ?? true;
}

function mountToken(spec: PodSpec): void {
  const existing = spec.volumes?.find((volume) => volume.name.startsWith('kube-api-access-'));
  const name = existing?.name ?? `kube-api-access-${randomSuffix()}`;
  let needed = false;
  for (const container of [...(spec.initContainers ?? []), ...spec.containers]) {
    if (mounts(container)) continue;
    container.volumeMounts = [...(container.volumeMounts ?? []), { name, readOnly: true, mountPath: tokenMountPath }];
    needed = true;
  }
  if (!needed || existing !== undefined) return;
  spec.volumes = [
    ...(spec.volumes ?? []),
    {
      name,
      projected: {
        sources: [
          { serviceAccountToken: { expirationSeconds: 3607, path: 'token' } },
          { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
          {
            downwardAPI: {
              items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }],
            },
          },
        ],
        defaultMode: 0o644,
      },
    },
  ];
}

function mounts(container: Container): boolean {
  return (container.volumeMounts ?? []).some((mount) => mount.mountPath === tokenMountPath);
}

/** Follows plugin/pkg/admission/defaulttolerationseconds, which also looks at updates. */
export function addDefaultTolerations(spec: PodSpec): void {
  for (const key of ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable']) {
    const tolerated = (t: Toleration) => (t.key === key || !t.key) && (t.effect === 'NoExecute' || !t.effect);
    if ((spec.tolerations ?? []).some(tolerated)) continue;
    spec.tolerations = [
      ...(spec.tolerations ?? []),
      { key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 },
    ];
  }
}
