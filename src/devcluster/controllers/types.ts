/** Objects of the kinds that controllers work on, as they are stored. */
import type {
  CoreV1EndpointPort,
  V1ControllerRevision,
  V1CronJob,
  V1DaemonSet,
  V1Deployment,
  V1EndpointSlice,
  V1Endpoints,
  V1Job,
  V1LabelSelector,
  V1OwnerReference,
  V1PersistentVolume,
  V1PersistentVolumeClaim,
  V1PodDisruptionBudget,
  V1PodTemplateSpec,
  V1ReplicaSet,
  V1ReplicationController,
  V1ResourceQuota,
  V1Service,
  V1StatefulSet,
} from '@kubernetes/client-node';

import type { StoredMeta, Wire } from '../../core/objects.ts';

/** Metadata of a stored object that lives in a namespace. */
export type NamespacedMeta = StoredMeta & { namespace: string };

/** A stored object: what the API server always fills in is there. Nobody may change it in place. */
export type Stored<T> = Omit<Wire<T>, 'metadata' | 'spec'> & {
  metadata: NamespacedMeta;
} & ('spec' extends keyof T ? { spec: NonNullable<Wire<T>['spec' & keyof Wire<T>]> } : unknown);

export type Deployment = Stored<V1Deployment>;
export type ReplicaSet = Stored<V1ReplicaSet>;
export type ReplicationController = Stored<V1ReplicationController>;
export type StatefulSet = Stored<V1StatefulSet>;
export type DaemonSet = Stored<V1DaemonSet>;
export type Job = Stored<V1Job>;
export type CronJob = Stored<V1CronJob>;
export type ControllerRevision = Stored<V1ControllerRevision>;
export type StoredService = Stored<V1Service>;
export type StoredEndpoints = Stored<V1Endpoints>;
export type EndpointPort = Wire<CoreV1EndpointPort>;
export type EndpointSlice = Stored<V1EndpointSlice>;
export type PersistentVolume = Stored<V1PersistentVolume>;
export type PersistentVolumeClaim = Stored<V1PersistentVolumeClaim>;
export type PodDisruptionBudget = Stored<V1PodDisruptionBudget>;
export type ResourceQuota = Stored<V1ResourceQuota>;
export type PodTemplate = Wire<V1PodTemplateSpec>;
export type LabelSelector = Wire<V1LabelSelector>;
export type OwnerReference = Wire<V1OwnerReference>;
export type Labels = Readonly<Record<string, string>>;
