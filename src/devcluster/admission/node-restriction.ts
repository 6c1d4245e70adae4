/** What a node may write beyond what it is authorized to. Follows plugin/pkg/admission/noderestriction/admission.go. */
import type { KubeNode, Pod } from '../../core/objects.ts';
import { forbidden } from '../api-error.ts';
import { nodeIdentity } from '../auth/user.ts';
import { equalJson } from '../json.ts';
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts';

const mirrorAnnotation = 'kubernetes.io/config.mirror';
const restrictedNamespace = 'node-restriction.kubernetes.io';
const kubernetesNamespaces = ['kubernetes.io', 'k8s.io'];
/** Labels in Kubernetes' own namespaces that a kubelet may set on its Node. */
const kubeletLabels = [
  'kubernetes.io/hostname',
  'kubernetes.io/os',
  'kubernetes.io/arch',
  'beta.kubernetes.io/os',
  'beta.kubernetes.io/arch',
  'beta.kubernetes.io/instance-type',
  'node.kubernetes.io/instance-type',
  'topology.kubernetes.io/zone',
  'topology.kubernetes.io/region',
  'failure-domain.beta.kubernetes.io/zone',
  'failure-domain.beta.kubernetes.io/region',
];
const kubeletLabelNamespaces = ['kubelet.kubernetes.io', 'node.kubernetes.io'];

export const nodeRestriction: AdmissionPlugin = {
  admit(request) {
    const node = request.user && nodeIdentity(request.user);
    if (node === undefined) return;
    switch (`${request.kind.resource}.${request.kind.group}`) {
      case 'nodes.':
        return admitNode(node, request);
      case 'pods.':
        return admitPod(node, request);
      case 'leases.coordination.k8s.io':
        if (request.operation === 'CREATE' && request.name !== node)
          throw refused(request, 'can only access node lease with the same name as the requesting node');
        return;
      case 'csinodes.storage.k8s.io':
        if (request.name !== node)
          throw refused(request, `can only access CSINode with the same name as the requesting node`);
        return;
      default:
        return;
    }
  },
};

function admitNode(node: string, request: AdmissionRequest): void {
  const { operation, name, object, previous } = request;
  if (name !== node) throw refused(request, `node ${quoted(node)} is not allowed to modify node ${quoted(name)}`);
  const labels = object?.metadata.labels ?? {};
  const before = previous?.metadata.labels ?? {};
  const changed = [...new Set([...Object.keys(labels), ...Object.keys(before)])].filter(
    (label) => labels[label] !== before[label],
  );
  const refusedLabels = changed.filter((label) => isRefused(label, operation)).sort();
  if (refusedLabels.length > 0) {
    const list = refusedLabels.join(', ');
    throw refused(
      request,
      operation === 'CREATE'
        ? `node ${quoted(node)} is not allowed to set the following labels: ${list}`
        : `is not allowed to modify labels: ${list}`,
    );
  }
  if (operation !== 'UPDATE') return;
  const taints = (of: AdmissionRequest['object']) => (of as unknown as KubeNode | undefined)?.spec?.taints ?? [];
  if (!equalJson(taints(object), taints(previous)))
    throw refused(request, `node ${quoted(node)} is not allowed to modify taints`);
}

function isRefused(label: string, operation: AdmissionRequest['operation']): boolean {
  const namespace = label.includes('/') ? (label.split('/')[0] ?? '') : '';
  const within = (wanted: string) => namespace === wanted || namespace.endsWith(`.${wanted}`);
  if (within(restrictedNamespace)) return true;
  return (
    operation === 'UPDATE' &&
    kubernetesNamespaces.some(within) &&
    !kubeletLabels.includes(label) &&
    !kubeletLabelNamespaces.some(within)
  );
}

function admitPod(node: string, request: AdmissionRequest): void {
  const { operation, subresource, object, previous } = request;
  const pod = (object ?? previous) as unknown as Pod;
  const own = (previous as unknown as Pod | undefined)?.spec.nodeName === node;
  switch (operation) {
    case 'CREATE': {
      if (pod.metadata.annotations?.[mirrorAnnotation] === undefined)
        throw refused(
          request,
          `pod does not have "${mirrorAnnotation}" annotation, node ${quoted(node)} can only create mirror pods`,
        );
      if (pod.spec.nodeName !== node)
        throw refused(request, `node ${quoted(node)} can only create pods with spec.nodeName set to itself`);
      const owners = pod.metadata.ownerReferences ?? [];
      if (owners.some(({ kind, name, apiVersion }) => kind !== 'Node' || name !== node || apiVersion !== 'v1'))
        throw refused(request, `node ${quoted(node)} can only create pods with an owner reference set to itself`);
      const refers = (pod.spec.volumes ?? []).some(
        ({ secret, configMap, persistentVolumeClaim, projected }) =>
          secret ?? configMap ?? persistentVolumeClaim ?? projected,
      );
      if (refers || pod.spec.serviceAccountName)
        throw refused(
          request,
          `node ${quoted(node)} can not create pods that reference a serviceaccount, a secret, a configmap or a persistentvolumeclaim`,
        );
      return;
    }
    case 'UPDATE':
      if (subresource !== 'status') return;
      if (!own)
        throw refused(
          request,
          `node ${quoted(node)} can only update pod status for pods with spec.nodeName set to itself`,
        );
      if (!equalJson(object?.metadata.labels ?? {}, previous?.metadata.labels ?? {}))
        throw refused(request, `node ${quoted(node)} cannot update labels through pod status`);
      return;
    case 'DELETE':
      if (!own) throw refused(request, `node ${quoted(node)} can only delete pods with spec.nodeName set to itself`);
  }
}

function refused({ kind, name }: AdmissionRequest, why: string) {
  return forbidden(kind, name, why);
}

function quoted(text: string): string {
  return JSON.stringify(text);
}
