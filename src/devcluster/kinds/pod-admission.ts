import type { Container, PodSpec, Toleration } from '../../core/objects.ts';
import { forbidden } from '../api-error.ts';
import type { ApiObject } from '../api-object.ts';
import { randomSuffix } from '../names.ts';
import type { ResourceStore } from '../store.ts';

const tokenMountPath = '/var/run/secrets/kubernetes.io/serviceaccount';
const mirrorAnnotation = 'kubernetes.io/config.mirror';
const pods = { group: '', resource: 'pods' };

interface PodDraft {
  readonly name: string;
  readonly namespace: string;
  readonly annotations: Readonly<Record<string, string>> | undefined;
  readonly spec: PodSpec;
}

/** What the API server's admission plugins that are on by default do to a new pod. */
export function admitPod(pod: PodDraft, store: ResourceStore): void {
  admitServiceAccount(pod, store);
  addDefaultTolerations(pod.spec);
  // The Priority plugin, without priority classes.
  pod.spec.priority ??= 0;
  pod.spec.preemptionPolicy ??= 'PreemptLowerPriority';
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
