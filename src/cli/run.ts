import type { Command } from 'commander';

import { loadConfig, settings } from '../config/index.ts';
import type { Config } from '../config/index.ts';
import { isAbort } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import { createLogger } from './logger.ts';
import type { CommandContext } from './program.ts';
import { addSettings, settingFlags } from './setting-flags.ts';

/** `anylet run`: the daemon, until the signal; with `--check` only its configuration. */
export function addRun(program: Command, context: CommandContext): void {
  const command = program
    .command('run')
    .description('run the node until it is stopped')
    .option('--config <file>', 'settings as YAML; flags and ANYLET_* variables win over it')
    .option('--check', 'check the configuration and the provider, and end');
  addSettings(command, settings);
  command.addHelpText('after', '\nEvery setting has a variable too: --node-name is ANYLET_NODE_NAME.');

  command.action(async () => {
    const flags = command.opts<Record<string, string | boolean | undefined>>();
    const { config, warnings } = await loadConfig({
      ...context.sources,
      flags: { config: flags['config'], ...settingFlags(command, settings) },
    });
    const log = loggerFor(config, context);
    for (const warning of warnings) log.warn(warning);
    await preparePlugins(config, context);
    await (flags['check'] === true ? check(config, context) : run(config, log, context));
  });
}

/** Plugins of others may lie anywhere, and are to share this copy of anylet. */
export async function preparePlugins({ provider }: Config, { sources }: CommandContext): Promise<void> {
  const { isBuiltIn } = await import('../providers/registry.ts');
  if (isBuiltIn(provider.name)) return;
  const { resolvePluginsFrom } = await import('./plugin-resolution.ts');
  resolvePluginsFrom(sources.cwd);
}

async function check(config: Config, { stdout, sources }: CommandContext): Promise<void> {
  const { loadPlugin, parseProviderConfig } = await import('../providers/registry.ts');
  const { name, config: rawConfig } = config.provider;
  parseProviderConfig(await loadPlugin(name, sources.cwd), name, rawConfig);
  stdout.write('configuration OK\n');
}

async function run(config: Config, log: Logger, { sources, signal, logTo }: CommandContext): Promise<void> {
  logTo(log);
  const { startDaemon } = await import('../daemon.ts');
  const daemon = await startDaemon(config, { log, env: sources.env, signal }).catch((err: unknown) => {
    // Asked to stop before it had started: nothing is wrong.
    if (!isAbort(err, signal)) throw err;
  });
  if (daemon === undefined) return;
  const stopRequested = new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  await Promise.race([stopRequested, daemon.done]);
  await daemon.stop();
  // A daemon that ended by itself says here why.
  await daemon.done;
}

function loggerFor({ log: { level, format } }: Config, { stdout }: CommandContext): Logger {
  const onTerminal = stdout.isTTY === true;
  return createLogger({
    level,
    format: format === 'auto' ? (onTerminal ? 'text' : 'json') : format,
    colour: onTerminal,
    stream: stdout,
  });
}
