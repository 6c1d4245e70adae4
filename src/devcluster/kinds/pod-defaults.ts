/** Defaults of a pod's fields. Follows pkg/apis/core/v1/defaults.go and its generated walk over the types. */
import type { Container, PodSpec, PodStatus, Volume } from '../../core/objects.ts';
import { Quantity } from '../../core/quantity.ts';

type Probe = NonNullable<Container['livenessProbe']>;
type Handler = NonNullable<NonNullable<Container['lifecycle']>['postStart']>;
/** Fields of a draft, which all may be absent and may be set. */
type Draft<T> = { -readonly [K in keyof T]?: T[K] | undefined };

/** Fills in a pod's spec. */
export function defaultPodSpec(spec: PodSpec): void {
  defaultTemplateSpec(spec);
  // What follows is done to pods, not to templates of them (SetDefaults_Pod).
  spec.enableServiceLinks ??= true;
  for (const container of [...(spec.containers ?? []), ...(spec.initContainers ?? [])]) {
    const { limits } = (container.resources ??= {});
    if (limits !== undefined) container.resources.requests = { ...limits, ...container.resources.requests };
    for (const port of container.ports ?? []) if (spec.hostNetwork === true) port.hostPort ||= port.containerPort;
  }
  defaultPodRequests(spec);
}

/** What a pod as a whole asks for: what its containers do, else what it is limited to (defaultPodRequests). */
function defaultPodRequests({ resources, containers }: PodSpec): void {
  if (resources?.limits === undefined) return;
  const requests: Record<string, string> = { ...resources.limits };
  for (const name of Object.keys(requests)) {
    const asked = containers.flatMap((container) => container.resources?.requests?.[name] ?? []);
    if (asked.length > 0)
      requests[name] = asked
        .map((amount) => Quantity.parse(amount))
        .reduce((sum, amount) => sum.add(amount))
        .toString();
  }
  resources.requests = { ...requests, ...resources.requests };
}

/** Fills in the spec of a pod or of a template. */
export function defaultTemplateSpec(spec: PodSpec): void {
  spec.containers ??= [];
  spec.restartPolicy ??= 'Always';
  spec.terminationGracePeriodSeconds ??= 30;
  if (spec.terminationGracePeriodSeconds < 0) spec.terminationGracePeriodSeconds = 1;
  spec.dnsPolicy ??= 'ClusterFirst';
  spec.schedulerName ??= 'default-scheduler';
  spec.securityContext ??= {};
  // The old name and the new one of one field.
  if (spec.serviceAccountName ?? spec.serviceAccount) {
    spec.serviceAccountName ??= spec.serviceAccount as string;
    spec.serviceAccount = spec.serviceAccountName;
  }
  for (const list of [spec.containers, spec.initContainers, spec.ephemeralContainers])
    for (const container of list ?? []) defaultContainer(container);
  for (const volume of spec.volumes ?? []) defaultVolume(volume);
}

/** Containers' states are always there, and a condition's times are written even when they are unset. */
export function defaultPodStatus(status: PodStatus): void {
  for (const list of [status.containerStatuses, status.initContainerStatuses, status.ephemeralContainerStatuses]) {
    for (const container of list ?? []) {
      for (const state of [(container.state ??= {}), (container.lastState ??= {})]) {
        if (state.running) nullTimes([state.running], ['startedAt']);
        if (state.terminated) nullTimes([state.terminated], ['startedAt', 'finishedAt']);
      }
    }
  }
  nullTimes(status.conditions, ['lastProbeTime', 'lastTransitionTime']);
  // `podIP` is older than `podIPs`: where they differ it wins, and it always shows the first of them.
  if (status.podIP && status.podIPs?.[0]?.ip !== status.podIP) status.podIPs = [{ ip: status.podIP }];
  if (status.podIPs?.[0] !== undefined) status.podIP = status.podIPs[0].ip;
}

/** Times of states and conditions are written as null when they are unset. */
export function nullTimes(objects: readonly object[] | undefined, fields: readonly string[]): void {
  for (const object of (objects ?? []) as Record<string, unknown>[]) for (const field of fields) object[field] ??= null;
}

function defaultContainer(container: Container): void {
  container.terminationMessagePath ??= '/dev/termination-log';
  container.terminationMessagePolicy ??= 'File';
  container.imagePullPolicy ??= tagOf(container.image ?? '') === 'latest' ? 'Always' : 'IfNotPresent';
  container.resources ??= {};
  for (const port of container.ports ?? []) port.protocol ??= 'TCP';
  for (const variable of container.env ?? []) {
    const fieldRef = variable.valueFrom?.fieldRef;
    if (fieldRef !== undefined) fieldRef.apiVersion ??= 'v1';
    const resourceFieldRef = variable.valueFrom?.resourceFieldRef;
    if (resourceFieldRef !== undefined) resourceFieldRef.divisor ??= '0';
  }
  for (const probe of [container.livenessProbe, container.readinessProbe, container.startupProbe])
    if (probe) defaultProbe(probe);
  for (const handler of [container.lifecycle?.postStart, container.lifecycle?.preStop])
    if (handler) defaultHandler(handler);
}

function defaultProbe(probe: Probe): void {
  probe.timeoutSeconds ||= 1;
  probe.periodSeconds ||= 10;
  probe.successThreshold ||= 1;
  probe.failureThreshold ||= 3;
  if (probe.grpc !== undefined) probe.grpc.service ??= '';
  defaultHandler(probe);
}

function defaultHandler({ httpGet }: Pick<Handler, 'httpGet'>): void {
  if (httpGet === undefined) return;
  httpGet.path ||= '/';
  httpGet.scheme ||= 'HTTP';
}

function defaultVolume(volume: Volume): void {
  // A volume without a source is an empty directory.
  if (Object.keys(volume).length === 1) volume.emptyDir = {};
  const { secret, configMap, downwardAPI, projected, hostPath, image, ephemeral } = volume;
  if (ephemeral?.volumeClaimTemplate !== undefined) ephemeral.volumeClaimTemplate.spec.volumeMode ??= 'Filesystem';
  for (const source of [secret, configMap, downwardAPI, projected]) if (source) source.defaultMode ??= 0o644;
  if (hostPath) hostPath.type ??= '';
  if (image) image.pullPolicy ??= tagOf(image.reference ?? '') === 'latest' ? 'Always' : 'IfNotPresent';
  for (const source of projected?.sources ?? []) {
    if (source.serviceAccountToken)
      (source.serviceAccountToken as Draft<typeof source.serviceAccountToken>).expirationSeconds ??= 3600;
    defaultDownwardItems(source.downwardAPI?.items);
  }
  defaultDownwardItems(downwardAPI?.items);
}

function defaultDownwardItems(items: NonNullable<Volume['downwardAPI']>['items']): void {
  for (const { fieldRef, resourceFieldRef } of items ?? []) {
    if (fieldRef) fieldRef.apiVersion ??= 'v1';
    if (resourceFieldRef) resourceFieldRef.divisor ??= '0';
  }
}

/** The tag of an image reference: `latest` when it has neither tag nor digest. */
function tagOf(image: string): string {
  const last = image.slice(image.lastIndexOf('/') + 1);
  const [name = '', digest] = last.split('@');
  const tag = name.split(':')[1];
  return tag ?? (digest === undefined ? 'latest' : '');
}
