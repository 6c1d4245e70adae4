import { randomBytes } from 'node:crypto';

import { afterAll, beforeAll, expect } from '@jest/globals';

import type { Container, KubeEvent, KubeNode, Pod, PodSpec } from '../../src/core/objects.ts';
import { cluster } from './cluster.ts';
import { DaemonProcess, ScratchDirectory } from './daemon-process.ts';
import { eventually } from './eventually.ts';
import { kubectl, type KubectlOptions, type KubectlResult, tryKubectl } from './kubectl.ts';
import { containerProcesses, leftoverFiles, shimProcesses } from './leftovers.ts';
import { ObjectWatch } from './object-watch.ts';

/** A container of a test's pod; the image names nothing here. */
export type ContainerSpec = Partial<Container> & { readonly name?: string };

export interface TestNodeOptions {
  /** More flags of `anylet run`. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Start no daemon: the suite does it. */
  readonly stopped?: boolean;
  /** Below the scratch directory. */
  readonly stateDirectory?: string;
  /** Another cluster than the run's. */
  readonly kubeconfig?: () => string;
}

/**
 * One node with a namespace for the pods of one suite. Made in `beforeAll`; in `afterAll` the pods are deleted and the
 * daemon is stopped, and nothing of either may be left on the machine.
 */
export class TestNode {
  readonly name: string;
  readonly namespace: string;
  readonly scratch = new ScratchDirectory();
  readonly #options: TestNodeOptions;
  #daemon: DaemonProcess | undefined;
  #pods: ObjectWatch<Pod> | undefined;
  #nodes: ObjectWatch<KubeNode> | undefined;
  #events: ObjectWatch<KubeEvent> | undefined;

  constructor(topic: string, options: TestNodeOptions = {}) {
    this.#options = options;
    this.name = `${topic}-${randomBytes(3).toString('hex')}`;
    this.namespace = `anylet-e2e-${this.name}`;
  }

  get stateDir(): string {
    return this.scratch.file(this.#options.stateDirectory ?? 'state');
  }

  get daemon(): DaemonProcess {
    return present(this.#daemon);
  }

  /** The pods of the namespace. */
  get pods(): ObjectWatch<Pod> {
    return present(this.#pods);
  }

  /** The Node object. */
  get nodes(): ObjectWatch<KubeNode> {
    return present(this.#nodes);
  }

  /** The events of the namespace. */
  get events(): ObjectWatch<KubeEvent> {
    return present(this.#events);
  }

  get kubeconfig(): string {
    return this.#options.kubeconfig?.() ?? cluster.kubeconfig;
  }

  async setUp(): Promise<void> {
    this.#nodes = new ObjectWatch(`/api/v1/nodes?fieldSelector=metadata.name=${this.name}`, this.kubeconfig);
    await this.kubectl(['create', 'namespace', this.namespace]);
    this.#pods = new ObjectWatch(`/api/v1/namespaces/${this.namespace}/pods`, this.kubeconfig);
    this.#events = new ObjectWatch(`/api/v1/namespaces/${this.namespace}/events`, this.kubeconfig);
    if (this.#options.stopped !== true) await this.start().ready();
    // What every pod needs, and controllers make.
    const made = ['serviceaccount/default', 'configmap/kube-root-ca.crt'];
    await this.kubectl(['wait', '--for=create', ...made, '--timeout=30s']);
  }

  /** The arguments of `anylet run` for this node. */
  arguments(...more: readonly string[]): string[] {
    const node = ['--kubeconfig', this.kubeconfig, '--node-name', this.name, '--node-ip', cluster.nodeIP];
    const daemon = [
      '--provider',
      'process',
      '--listen-port',
      '0',
      '--state-dir',
      this.stateDir,
      '--log-format',
      'json',
    ];
    return ['run', ...node, ...daemon, ...(this.#options.args ?? []), ...more];
  }

  /** Starts the daemon (again); does not wait for it. */
  start(
    options: { args?: readonly string[]; env?: Readonly<Record<string, string>>; program?: string } = {},
  ): DaemonProcess {
    const { args = [], program } = options;
    this.#daemon = new DaemonProcess({
      args: this.arguments(...args),
      env: { ...this.#options.env, ...options.env },
      ...(program === undefined ? {} : { program }),
    });
    return this.#daemon;
  }

  /** kubectl in the suite's namespace. @throws Error when it fails. */
  kubectl(args: readonly string[], options: KubectlOptions = {}): Promise<string> {
    return kubectl(this.#inNamespace(args), { kubeconfig: this.kubeconfig, ...options });
  }

  tryKubectl(args: readonly string[], options: KubectlOptions = {}): Promise<KubectlResult> {
    return tryKubectl(this.#inNamespace(args), { kubeconfig: this.kubeconfig, ...options });
  }

  #inNamespace(args: readonly string[]): string[] {
    return ['--namespace', this.namespace, ...args];
  }

  /** Applies objects in one call. */
  async apply(...objects: readonly object[]): Promise<void> {
    const list = { apiVersion: 'v1', kind: 'List', items: objects };
    await this.kubectl(['apply', '-f', '-'], { input: JSON.stringify(list) });
  }

  /** What makes a pod run here, and only here. */
  podSpec(containers: readonly ContainerSpec[] | ContainerSpec, spec: Partial<PodSpec> = {}): PodSpec {
    const list = Array.isArray(containers) ? (containers as ContainerSpec[]) : [containers as ContainerSpec];
    return {
      nodeSelector: { 'kubernetes.io/hostname': this.name },
      tolerations: [{ key: 'virtual-kubelet.io/provider', operator: 'Exists' }],
      terminationGracePeriodSeconds: 5,
      containers: list.map((container, at) => ({ name: at === 0 ? 'main' : `c${at}`, image: 'none', ...container })),
      ...spec,
    };
  }

  pod(name: string, containers: readonly ContainerSpec[] | ContainerSpec, spec: Partial<PodSpec> = {}): object {
    const metadata = { name, namespace: this.namespace, labels: { app: name } };
    return { apiVersion: 'v1', kind: 'Pod', metadata, spec: this.podSpec(containers, spec) };
  }

  /** Applies one pod and resolves when all its containers are ready. */
  async runPod(
    name: string,
    containers: readonly ContainerSpec[] | ContainerSpec,
    spec: Partial<PodSpec> = {},
  ): Promise<Pod> {
    await this.apply(this.pod(name, containers, spec));
    return await this.podReady(name);
  }

  podReady(name: string, timeoutMs?: number): Promise<Pod> {
    return this.pods.untilObject(name, isReady, 'is ready', timeoutMs);
  }

  podPhase(name: string, phase: string, timeoutMs?: number): Promise<Pod> {
    return this.pods.untilObject(name, ({ status }) => status?.phase === phase, `is ${phase}`, timeoutMs);
  }

  /** The log of a container that has ended, or so far. */
  logs(pod: string, ...args: readonly string[]): Promise<string> {
    return this.kubectl(['logs', pod, ...args]);
  }

  /** Resolves when the log of a container matches. */
  async logged(pod: string, pattern: RegExp, ...args: readonly string[]): Promise<string> {
    return await eventually(async () => {
      const { stdout } = await this.tryKubectl(['logs', pod, ...args]);
      const text = stdout.toString();
      return pattern.test(text) ? text : undefined;
    }, `the log of ${pod} to match ${pattern}`);
  }

  /** Resolves with the first event about a pod that has this reason. */
  event(pod: string, reason: string, matches: RegExp = /(?:)/): Promise<KubeEvent> {
    const about = (event: KubeEvent) =>
      event.involvedObject.name === pod && event.reason === reason && matches.test(event.message ?? '');
    return this.events.until(() => this.events.all().find(about), `event ${reason} about ${pod}`);
  }

  async tearDown(): Promise<void> {
    try {
      const workloads = 'deployments,replicasets,statefulsets,daemonsets,jobs';
      await this.kubectl(['delete', workloads, '--all', '--cascade=background', '--wait=false']);
      await this.kubectl(['delete', 'pods', '--all', '--grace-period=1', '--wait=false']);
      const isUp = this.#daemon?.isRunning === true;
      if (isUp) await this.pods.until(() => this.pods.all().length === 0, 'all pods are deleted');
      await this.kubectl(['delete', 'namespace', this.namespace, '--wait=false']);
      if (isUp) {
        expect(await this.daemon.stop()).toEqual({ code: 0, signal: null });
        expect(this.daemon.stderr).toBe('');
      }
      await this.kubectl(['delete', 'node', this.name, '--ignore-not-found']);
      await this.expectNothingLeft();
    } finally {
      if (this.#daemon?.isRunning === true) await this.#daemon.stop('SIGKILL');
      this.#pods?.close();
      this.#nodes?.close();
      this.#events?.close();
      for (const { pid } of [...shimProcesses(this.stateDir), ...containerProcesses(this.stateDir)]) kill(pid);
      await this.scratch.remove();
    }
  }

  /** No process, socket, pipe or record of a pod is left. Shims end by themselves within a moment. */
  async expectNothingLeft(): Promise<void> {
    await eventually(() => shimProcesses(this.stateDir).length === 0, 'the shims to end');
    expect(containerProcesses(this.stateDir)).toEqual([]);
    expect(leftoverFiles(this.stateDir)).toEqual([]);
  }
}

function present<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('the suite has not been set up');
  return value;
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}

/** Registers the node's `beforeAll` and `afterAll`. */
export function testNode(topic: string, options: TestNodeOptions = {}): TestNode {
  const node = new TestNode(topic, options);
  beforeAll(() => node.setUp());
  afterAll(() => node.tearDown());
  return node;
}

export function isReady({ status }: Pod | KubeNode): boolean {
  return status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') === true;
}

/** A command that runs a shell script. */
export function sh(script: string): string[] {
  return ['/bin/sh', '-c', script];
}

/** A script's end that waits for SIGTERM and leaves with this code, at once. A word of its own tells it from others. */
export function untilTerminated(code = 0, word = 100_000): string {
  return `trap 'exit ${code}' TERM; sleep ${word} & wait`;
}

/** A script that does so, having said `up` when it listens to the signal. */
export function obedient(code = 0, word = 100_000): string {
  return `trap 'exit ${code}' TERM; echo up; sleep ${word} & wait`;
}
