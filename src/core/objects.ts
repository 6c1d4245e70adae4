/**
 * Kubernetes objects as they are on the wire. The generated types of the client library say `Date` where JSON
 * holds a string; everything in this code base that comes from an API server is the wire form.
 */
import type {
  CoreV1Event,
  V1ConfigMap,
  V1Container,
  V1ContainerState,
  V1ContainerStateRunning,
  V1ContainerStateTerminated,
  V1ContainerStateWaiting,
  V1ContainerStatus,
  V1EphemeralContainer,
  V1EnvFromSource,
  V1EnvVar,
  V1Lease,
  V1Node,
  V1NodeCondition,
  V1NodeSpec,
  V1NodeStatus,
  V1ObjectMeta,
  V1Pod,
  V1PodCondition,
  V1PodSpec,
  V1PodStatus,
  V1ResourceRequirements,
  V1Secret,
  V1Service,
  V1Status,
  V1Taint,
  V1Toleration,
  V1Volume,
  V1VolumeMount,
} from '@kubernetes/client-node';

/** The JSON form of a generated type: every `Date` is an RFC 3339 string. */
export type Wire<T> = T extends Date
  ? string
  : T extends readonly (infer U)[]
    ? Wire<U>[]
    : T extends object
      ? { [K in keyof T]: Wire<T[K]> }
      : T;

/** Metadata of an object that an API server has stored. */
export type StoredMeta = Wire<V1ObjectMeta> & { name: string; uid: string };

/** A pod as the API server serves it: name, namespace, UID and spec are always there. */
export type Pod = Omit<Wire<V1Pod>, 'metadata' | 'spec'> & {
  metadata: StoredMeta & { namespace: string };
  spec: PodSpec;
};

export type PodSpec = Wire<V1PodSpec>;
export type PodStatus = Wire<V1PodStatus>;
export type PodCondition = Wire<V1PodCondition>;
export type Container = Wire<V1Container>;
export type EphemeralContainer = Wire<V1EphemeralContainer>;
export type ContainerStatus = Wire<V1ContainerStatus>;
export type ContainerState = Wire<V1ContainerState>;
export type ContainerStateWaiting = Wire<V1ContainerStateWaiting>;
export type ContainerStateRunning = Wire<V1ContainerStateRunning>;
export type ContainerStateTerminated = Wire<V1ContainerStateTerminated>;
export type EnvVar = Wire<V1EnvVar>;
export type EnvFromSource = Wire<V1EnvFromSource>;
export type ResourceRequirements = Wire<V1ResourceRequirements>;
export type Volume = Wire<V1Volume>;
export type VolumeMount = Wire<V1VolumeMount>;
export type Toleration = Wire<V1Toleration>;
export type Taint = Wire<V1Taint>;
export type KubeNode = Wire<V1Node>;
export type NodeSpec = Wire<V1NodeSpec>;
export type NodeStatus = Wire<V1NodeStatus>;
export type NodeCondition = Wire<V1NodeCondition>;
export type Lease = Wire<V1Lease>;
export type Service = Wire<V1Service>;
export type ConfigMap = Wire<V1ConfigMap>;
export type Secret = Wire<V1Secret>;
export type KubeEvent = Wire<CoreV1Event>;
export type ApiStatus = Wire<V1Status>;
