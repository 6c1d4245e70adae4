import { Command, CommanderError } from 'commander';

import { invalidInput } from '../core/errors.ts';
import type { ConfigSources } from '../config/index.ts';
import type { Logger } from '../core/logger.ts';
import { packageVersion } from '../core/version.ts';

/** What a command may touch of the process that it runs in. */
export interface CommandContext {
  readonly sources: Omit<ConfigSources, 'flags'>;
  readonly stdout: NodeJS.WritableStream & { readonly isTTY?: boolean };
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean };
  /** Aborted by the first signal that asks to end. */
  readonly signal: AbortSignal;
  /** Called once, when there is a logger: what ends the process is to be said there. */
  readonly logTo: (log: Logger) => void;
}

/**
 * Runs one command line (without program and script name). Resolves when the command has done its work; `run` does so
 * when the daemon has stopped. Rejects with `InvalidInput` for a wrong command line or configuration.
 */
export async function runCommandLine(args: readonly string[], context: CommandContext): Promise<void> {
  const program = new Command('anylet')
    .description('A virtual kubelet: registers a Kubernetes Node and runs its pods through a provider')
    .version(packageVersion, '--version', 'print the version')
    .helpCommand(false)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void context.stdout.write(text),
      // What is wrong with the command line is thrown; the caller prints it like any other error.
      writeErr: () => {},
    });

  program
    .command('version')
    .description('print the versions of anylet and Node.js')
    .action(() => void context.stdout.write(`anylet ${packageVersion} (Node.js ${process.versions.node})\n`));

  const config = program.command('config').description('about the configuration');
  config
    .command('schema')
    .description('print the JSON Schema of the configuration file')
    .action(async () => {
      const { jsonSchema } = await import('../config/index.ts');
      context.stdout.write(`${JSON.stringify(jsonSchema(), null, 2)}\n`);
    });

  // The settings come with zod, which the other commands need not wait for.
  if (args[0] === 'run') (await import('./run.ts')).addRun(program, context);
  else program.command('run').description('run the node').allowUnknownOption();
  if (args[0] === 'dev') (await import('./dev.ts')).addDev(program, context);
  else program.command('dev').description('run a Kubernetes API and a node in one process, for development and tests');

  for (const command of [program, ...program.commands, ...config.commands])
    command.exitOverride().showHelpAfterError(false);
  try {
    await program.parseAsync(args.length === 0 ? ['--help'] : args, { from: 'user' });
  } catch (error) {
    // Help and version were printed: nothing is wrong.
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return;
    const message = error.message
      .replace(/^error: /, '')
      .replaceAll('\n', ' ')
      .replace(/\.$/, '');
    throw invalidInput(`${message}; see anylet --help`, error);
  }
}
