import { rfc3339, type Clock } from '../core/clock.ts';
import type { Pod } from '../core/objects.ts';
import { ApiError, badRequest, conflict, goText } from './api-error.ts';
import { isJsonObject, type JsonObject } from './json.ts';
import { kindNamed } from './kinds/table.ts';
import type { Registry } from './registry.ts';
import { decode } from './schema/decode.ts';

/**
 * Assigns a pod to the node that a Binding names, and says so in its PodScheduled condition. Follows assignPod in
 * pkg/registry/core/pod/storage/storage.go.
 */
export function bindPod(registry: Registry, clock: Clock, namespace: string, name: string, body: JsonObject): void {
  const kind = kindNamed('Pod');
  const { target, metadata } = decode('Binding', body).value;
  const node = isJsonObject(target) ? target['name'] : undefined;
  if (isJsonObject(metadata) && metadata['name'] !== undefined && metadata['name'] !== name)
    throw badRequest('name in URL does not match name in Binding object');
  const targetKind = isJsonObject(target) ? target['kind'] : undefined;
  if (targetKind !== undefined && targetKind !== '' && targetKind !== 'Node')
    throw new ApiError(
      500,
      '',
      `target.kind: Unsupported value: ${JSON.stringify(targetKind)}: supported values: "Node", "<empty>"`,
    );
  if (typeof node !== 'string' || node === '') throw new ApiError(500, '', 'target.name: Required value');
  const previous = registry.get(kind, namespace, name);
  const pod = previous as unknown as Pod;
  const refuse = (why: string) => conflict({ group: '', resource: 'pods/binding' }, name, why);
  const uid = isJsonObject(metadata) ? metadata['uid'] : undefined;
  if (uid !== undefined && uid !== pod.metadata.uid)
    throw conflict(
      kind,
      name,
      `StorageError: invalid object, Code: 4, Key: /registry/pods/${namespace}/${name}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: ${goText(uid)}, UID in object meta: ${pod.metadata.uid}`,
    );
  if (pod.metadata.deletionTimestamp !== undefined)
    throw refuse(`pod ${name} is being deleted, cannot be assigned to a host`);
  if (pod.spec.nodeName) throw refuse(`pod ${name} is already assigned to node ${JSON.stringify(pod.spec.nodeName)}`);
  if ((pod.spec.schedulingGates ?? []).length > 0) throw refuse(`pod ${name} has non-empty .spec.schedulingGates`);

  const scheduled = {
    lastProbeTime: null,
    lastTransitionTime: rfc3339(clock.now()),
    status: 'True',
    type: 'PodScheduled',
  };
  const others = (pod.status?.conditions ?? []).filter((condition) => condition.type !== 'PodScheduled');
  const { nominatedNodeName: _nominated, ...status } = pod.status ?? {};
  const given = isJsonObject(metadata) ? metadata : {};
  const merged = Object.fromEntries(
    (['labels', 'annotations'] as const).flatMap((field) =>
      isJsonObject(given[field]) ? [[field, { ...pod.metadata[field], ...given[field] }]] : [],
    ),
  );
  registry.store.put(kind, {
    ...previous,
    metadata: { ...previous.metadata, ...merged },
    spec: { ...pod.spec, nodeName: node },
    status: { ...status, conditions: [...others, scheduled] },
  });
}
