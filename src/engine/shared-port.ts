import type { ContainerRecord, LogOptions, ProviderContext } from '../providers/contract.ts';
import { readContainerLog } from './logs/index.ts';
import type { PodMachine } from './pod-machine.ts';

const lastLines: LogOptions = { follow: false, timestamps: false, tailLines: 80, stream: 'All' };
const addressInUse = /EADDRINUSE|address (?:is )?already in use/i;

/**
 * On a runtime whose pods share the node's network, two pods cannot listen on one port, and the one that comes second
 * only sees its own program fail. When such a program said so in its last lines, an event names the other pod.
 */
export async function warnOfSharedPort(
  machine: PodMachine,
  record: ContainerRecord,
  all: readonly PodMachine[],
  context: ProviderContext,
): Promise<void> {
  const ports = declaredPorts(machine, record.name);
  if (ports.length === 0) return;
  const rivals = all.filter((m) => m !== machine && m.records.running().some((r) => shares(m, r.name, ports)));
  const rival = rivals[0];
  if (rival === undefined || !addressInUse.test(await lastWords(record, context))) return;
  const port = ports.find((p) => rival.pod?.spec.containers.some((c) => declaredPorts(rival, c.name).includes(p)));
  context.events(
    machine.ref,
    'Warning',
    'PortInUse',
    `Port ${port} of container ${record.name} is held by pod ${rival.ref.namespace}/${rival.ref.name}: pods of this node share its network, so two of them cannot listen on one port`,
    `spec.containers{${record.name}}`,
  );
}

function shares(machine: PodMachine, container: string, ports: readonly number[]): boolean {
  return declaredPorts(machine, container).some((port) => ports.includes(port));
}

function declaredPorts(machine: PodMachine, container: string): number[] {
  const spec = machine.pod?.spec;
  const found = [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])].find((c) => c.name === container);
  return (found?.ports ?? []).map((p) => p.containerPort);
}

async function lastWords(record: ContainerRecord, context: ProviderContext): Promise<string> {
  const log = await readContainerLog(record.logPath, lastLines, {
    isRunning: () => false,
    clock: context.clock,
    signal: context.signal,
  });
  let text = '';
  for await (const chunk of log) text += Buffer.from(chunk).toString('utf8');
  return text;
}
