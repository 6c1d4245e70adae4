import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';

import { invalidInput, isAbort } from '../core/errors.ts';
import { createLogger } from './logger.ts';
import { devSettings, loadDevConfig } from './dev-config.ts';
import { showProgress } from './dev-progress.ts';
import { startDevSession } from './dev-session.ts';
import { introduction, isOnPath, whatItIs } from './dev-text.ts';
import type { CommandContext } from './program.ts';
import { preparePlugins } from './run.ts';
import { addSettings, settingFlags } from './setting-flags.ts';

interface DevFlags {
  readonly config?: string;
  readonly port: number;
  readonly keep?: true;
  readonly demo?: true;
  readonly controlPlane?: string | true;
}

/**
 * `anylet dev`: a Kubernetes API and a node in one process, until the signal. For development and tests: on loopback,
 * in memory, for one user.
 */
export function addDev(program: Command, context: CommandContext): void {
  const command = program
    .command('dev')
    .description('run a Kubernetes API and a node in one process, for development and tests')
    .option('--port <number>', 'port of the Kubernetes API on 127.0.0.1; 0 picks a free one', portNumber, 0)
    .option('--keep', 'keep the objects for the next start with --keep')
    .option('--demo', 'run a pod, follow its logs, execute a command in it, and end')
    .option(
      '--control-plane [folder]',
      'use the real etcd and kube-apiserver of this folder; default: $KUBEBUILDER_ASSETS',
    )
    .option('--config <file>', 'settings as YAML; flags and ANYLET_* variables win over it');
  addSettings(command, devSettings);
  command.action(() => dev(command, context));
}

async function dev(command: Command, context: CommandContext): Promise<void> {
  const startedAt = performance.now();
  const { sources, stdout, stderr, signal } = context;
  const { config: file, port, keep = false, demo = false, controlPlane } = command.opts<DevFlags>();
  if (demo && keep) throw invalidInput('--demo leaves nothing that --keep could keep; see anylet dev --help');
  const programs = programsFolder(controlPlane, sources.env);
  const config = await loadDevConfig({ ...sources, flags: { config: file, ...settingFlags(command, devSettings) } });
  await preparePlugins(config, context);
  const { loadPlugin, parseProviderConfig } = await import('../providers/registry.ts');
  const { name: provider, config: providerConfig } = config.provider;
  parseProviderConfig(await loadPlugin(provider, sources.cwd), provider, providerConfig);

  const log = createLogger({
    level: config.log.level,
    format: config.log.format === 'json' ? 'json' : 'text',
    colour: stderr.isTTY === true,
    stream: stderr,
  });
  const progress = showProgress(stderr);
  const session = await startDevSession({ config, port, keep, programs, env: sources.env, log, progress, signal })
    .catch((err: unknown) => {
      // Asked to stop before it had started: nothing is wrong.
      if (!isAbort(err, signal)) throw err;
    })
    .finally(() => progress.done());
  if (session === undefined) return;

  try {
    const facts = { nodeName: config.node.name, provider, programs };
    if (demo) {
      stdout.write(`# ${whatItIs(facts)}\n`);
      const { runDemo } = await import('./dev-demo.ts');
      await runDemo({ controlPlane: session.controlPlane, stdout, signal }).catch((err: unknown) => {
        if (!isAbort(err, signal)) throw err;
      });
    } else {
      const seconds = (performance.now() - startedAt) / 1000;
      const hasKubectl = isOnPath('kubectl', sources.env['PATH']);
      stdout.write(introduction({ ...facts, kubeconfig: session.kubeconfig, keep, hasKubectl, seconds }));
      await Promise.race([aborted(signal), session.done]);
    }
  } finally {
    await session.stop();
  }
  await session.done;
}

function programsFolder(given: string | true | undefined, env: Readonly<Record<string, string | undefined>>) {
  if (given !== true) return given;
  const folder = env['KUBEBUILDER_ASSETS'];
  if (folder === undefined || folder === '')
    throw invalidInput('--control-plane: names no folder, and KUBEBUILDER_ASSETS is not set');
  return folder;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function portNumber(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535) throw new InvalidArgumentError('It is not a port.');
  return port;
}
