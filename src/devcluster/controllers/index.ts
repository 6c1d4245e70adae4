/** The controllers of the development control plane, as kube-controller-manager runs them. */
import { EndpointSliceController } from './endpoint-slices.ts';
import { EndpointsController } from './endpoints.ts';
import { EventExpiry } from './event-expiry.ts';
import { ClusterObjects } from './cluster-objects.ts';
import type { Controller, ControllerContext } from './controller.ts';
import { CronJobController } from './cron-job.ts';
import { DaemonSetController } from './daemon-set.ts';
import { DeploymentController } from './deployment.ts';
import { DisruptionController } from './disruption.ts';
import { EventRecorder } from './event-recorder.ts';
import { GarbageCollector } from './garbage-collector.ts';
import { JobController } from './job.ts';
import { NodeLifecycleController } from './node-lifecycle.ts';
import { PodGarbageCollector } from './pod-gc.ts';
import { ReplicaSetController } from './replica-set.ts';
import { ResourceQuotaController } from './resource-quota.ts';
import { StatefulSetController } from './stateful-set.ts';
import { TaintEvictionController } from './taint-eviction.ts';
import { TtlAfterFinishedController } from './ttl-after-finished.ts';
import { VolumeBindingController } from './volume-binding.ts';
import type { Clock } from '../../core/clock.ts';
import type { Logger } from '../../core/logger.ts';
import type { Registry } from '../registry.ts';

/** Starts every controller; they take up what the registry holds already. Returns how to stop them, idempotent. */
export function startControllers(registry: Registry, clock: Clock, log: Logger): () => void {
  const objects = new ClusterObjects(registry);
  const context: ControllerContext = { objects, events: new EventRecorder(objects, clock, log), clock, log };
  const controllers: Controller[] = [
    new DeploymentController(context),
    new ReplicaSetController(context, 'ReplicaSet'),
    new ReplicaSetController(context, 'ReplicationController'),
    new StatefulSetController(context),
    new DaemonSetController(context),
    new JobController(context),
    new TtlAfterFinishedController(context),
    new CronJobController(context),
    new EndpointsController(context),
    new EndpointSliceController(context),
    new DisruptionController(context),
    new ResourceQuotaController(context),
    new VolumeBindingController(context),
    new NodeLifecycleController(context),
    new TaintEvictionController(context),
    new PodGarbageCollector(context),
    new GarbageCollector(context),
    new EventExpiry(context),
  ];
  return () => {
    objects.stop();
    for (const controller of controllers) controller.stop();
  };
}
