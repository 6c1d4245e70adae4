/**
 * What a node may do: its own Node, Lease and pods, and what those pods refer to. Follows
 * plugin/pkg/auth/authorizer/node/node_authorizer.go and NodeRules of the bootstrap policy.
 */
import type { Container, Pod, PodSpec } from '../../core/objects.ts';
import type { ResourceStore } from '../store.ts';
import type { Attributes, Authorizer, Decision } from './authorizer.ts';
import { nodeIdentity } from './user.ts';

type ResourceAttributes = Exclude<Attributes, { path: string }>;

const read = ['get', 'list', 'watch'];
const allowed: Decision = { allowed: true };
const refused = (reason?: string): Decision => ({ allowed: false, ...(reason !== undefined && { reason }) });
const allowedVerbs = (verbs: readonly string[], { verb }: ResourceAttributes) =>
  verbs.includes(verb) ? allowed : refused();

export function nodeAuthorizer(store: ResourceStore): Authorizer {
  return (user, attributes) => {
    const node = nodeIdentity(user);
    if (node === undefined || 'path' in attributes) return refused();
    const full =
      attributes.subresource === undefined ? attributes.resource : `${attributes.resource}/${attributes.subresource}`;
    switch (attributes.group === '' ? full : `${full}.${attributes.group}`) {
      case 'nodes':
        return authorizeNode(node, attributes);
      case 'nodes/status':
      case 'pods/status':
        return allowedVerbs(['update', 'patch'], attributes);
      case 'pods':
        return authorizePods(node, attributes, store);
      case 'secrets':
        return authorizeReferenced(node, attributes, store, secretNames);
      case 'configmaps':
        return authorizeReferenced(node, attributes, store, configMapNames);
      case 'serviceaccounts':
        return attributes.verb === 'get'
          ? authorizeReferenced(node, attributes, store, serviceAccountNames)
          : refused('can only create tokens for individual service accounts');
      case 'serviceaccounts/token':
        if (attributes.verb !== 'create') return refused('can only create tokens for individual service accounts');
        return related(node, attributes, store, serviceAccountNames);
      case 'leases.coordination.k8s.io':
        return authorizeLease(node, attributes);
      case 'services':
      case 'runtimeclasses.node.k8s.io':
        return allowedVerbs(read, attributes);
      case 'endpoints':
        return allowedVerbs(['get'], attributes);
      case 'events':
      case 'events.events.k8s.io':
        return allowedVerbs(['create', 'update', 'patch'], attributes);
      case 'certificatesigningrequests.certificates.k8s.io':
        return allowedVerbs(['create', ...read], attributes);
      case 'persistentvolumeclaims':
      case 'persistentvolumeclaims/status':
        return attributes.verb === 'get' || attributes.subresource !== undefined
          ? related(node, attributes, store, claimNames)
          : refused('can only get individual resources of this type');
      case 'persistentvolumes':
        return attributes.verb === 'get'
          ? relatedVolume(node, attributes, store)
          : refused('can only get individual resources of this type');
      case 'volumeattachments.storage.k8s.io':
        return allowedVerbs(['get'], attributes);
      case 'csidrivers.storage.k8s.io':
        return allowedVerbs(read, attributes);
      case 'csinodes.storage.k8s.io':
        return authorizeCsiNode(node, attributes);
      case 'localsubjectaccessreviews.authorization.k8s.io':
      case 'pods/eviction':
      case 'tokenreviews.authentication.k8s.io':
      case 'subjectaccessreviews.authorization.k8s.io':
        return allowedVerbs(['create'], attributes);
      default:
        return refused();
    }
  };
}

function authorizeNode(node: string, { verb, name }: ResourceAttributes): Decision {
  if (['create', 'update', 'patch'].includes(verb)) return allowed;
  if (!read.includes(verb)) return refused();
  if (name === node) return allowed;
  return refused(
    name === undefined
      ? `node '${node}' cannot read all nodes, only its own Node object`
      : `node '${node}' cannot read '${name}', only its own Node object`,
  );
}

function authorizePods(node: string, attributes: ResourceAttributes, store: ResourceStore): Decision {
  const { verb, name, namespace, fields = [] } = attributes;
  if (verb === 'create' || verb === 'delete') return allowed;
  if (!read.includes(verb)) return refused();
  if (verb !== 'get' && fields.some((r) => r.key === 'spec.nodeName' && r.operator === 'In' && r.values[0] === node))
    return allowed;
  if (name === undefined) return refused('can only list/watch pods with spec.nodeName field selector');
  const pod = store.get({ group: '', resource: 'pods' }, namespace, name) as unknown as Pod | undefined;
  return pod?.spec.nodeName === node ? allowed : refused(unrelated(node));
}

function authorizeLease(node: string, { verb, namespace, name }: ResourceAttributes): Decision {
  if (!['get', 'create', 'update', 'patch', 'delete'].includes(verb))
    return refused('can only get, create, update, patch, or delete a node lease');
  if (namespace !== 'kube-node-lease')
    return refused('can only access leases in the "kube-node-lease" system namespace');
  if (verb !== 'create' && name !== node)
    return refused('can only access node lease with the same name as the requesting node');
  return allowed;
}

function authorizeCsiNode(node: string, { verb, name }: ResourceAttributes): Decision {
  if (!['get', 'create', 'update', 'patch', 'delete'].includes(verb))
    return refused('can only get, create, update, patch, or delete a CSINode');
  if (verb !== 'create' && name !== node)
    return refused('can only access CSINode with the same name as the requesting node');
  return allowed;
}

/** Allowed when the volume is bound to a claim that a pod of this node uses. */
function relatedVolume(node: string, { name }: ResourceAttributes, store: ResourceStore): Decision {
  const volume =
    name === undefined ? undefined : store.get({ group: '', resource: 'persistentvolumes' }, undefined, name);
  const { claimRef } = (volume?.['spec'] ?? {}) as { claimRef?: { namespace?: string; name?: string } };
  const claim = {
    verb: 'get',
    group: '',
    resource: 'persistentvolumeclaims',
    namespace: claimRef?.namespace,
    name: claimRef?.name,
  };
  return claimRef === undefined ? refused(unrelated(node)) : related(node, claim, store, claimNames);
}

function authorizeReferenced(
  node: string,
  attributes: ResourceAttributes,
  store: ResourceStore,
  names: (spec: PodSpec) => Iterable<string | undefined>,
): Decision {
  if (!read.includes(attributes.verb)) return refused('can only read resources of this type');
  if (attributes.namespace === undefined) return refused('can only read namespaced object of this type');
  return related(node, attributes, store, names);
}

/** Allowed when a pod of this node refers to the named object. */
function related(
  node: string,
  { namespace, name }: ResourceAttributes,
  store: ResourceStore,
  names: (spec: PodSpec) => Iterable<string | undefined>,
): Decision {
  if (name === undefined) return refused('No Object name found');
  for (const object of store.list({ group: '', resource: 'pods' }, namespace)) {
    const { spec } = object as unknown as Pod;
    if (spec.nodeName !== node) continue;
    for (const referred of names(spec)) if (referred === name) return allowed;
  }
  return refused(unrelated(node));
}

function unrelated(node: string): string {
  return `no relationship found between node '${node}' and this object`;
}

function* serviceAccountNames(spec: PodSpec): Iterable<string | undefined> {
  yield spec.serviceAccountName;
}

function* claimNames(spec: PodSpec): Iterable<string | undefined> {
  for (const { persistentVolumeClaim } of spec.volumes ?? []) yield persistentVolumeClaim?.claimName;
}

function* secretNames(spec: PodSpec): Iterable<string | undefined> {
  for (const { name } of spec.imagePullSecrets ?? []) yield name;
  for (const container of containersOf(spec)) {
    for (const { secretRef } of container.envFrom ?? []) yield secretRef?.name;
    for (const { valueFrom } of container.env ?? []) yield valueFrom?.secretKeyRef?.name;
  }
  for (const volume of spec.volumes ?? []) {
    yield volume.secret?.secretName;
    for (const { secret } of volume.projected?.sources ?? []) yield secret?.name;
  }
}

function* configMapNames(spec: PodSpec): Iterable<string | undefined> {
  for (const container of containersOf(spec)) {
    for (const { configMapRef } of container.envFrom ?? []) yield configMapRef?.name;
    for (const { valueFrom } of container.env ?? []) yield valueFrom?.configMapKeyRef?.name;
  }
  for (const volume of spec.volumes ?? []) {
    yield volume.configMap?.name;
    for (const { configMap } of volume.projected?.sources ?? []) yield configMap?.name;
  }
}

function containersOf(spec: PodSpec): readonly Container[] {
  return [...spec.containers, ...(spec.initContainers ?? []), ...((spec.ephemeralContainers ?? []) as Container[])];
}
