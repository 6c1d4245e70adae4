/**
 * The program. The only file that touches the process: its arguments, environment, signals and end.
 * Exit codes: 0 done, 2 a wrong command line or configuration, 1 anything else.
 */
import { readFileSync } from 'node:fs';
import { homedir, hostname, networkInterfaces } from 'node:os';

import { runCommandLine } from './cli/program.ts';
import { codeOf, messageOf } from './core/errors.ts';
import type { Logger } from './core/logger.ts';

const stopping = new AbortController();
let logger: Logger | undefined;

// A development cluster ends with its terminal; a daemon is left to what `nohup` and the like have arranged.
const hangup = process.argv[2] === 'dev' ? (['SIGHUP'] as const) : [];
let askedAt = 0;
for (const signal of ['SIGTERM', 'SIGINT', ...hangup] as const) {
  process.on(signal, () => {
    // The second one means: now. But npm relays what the terminal has sent to both of us.
    if (stopping.signal.aborted && performance.now() - askedAt > 200) process.exit(1);
    askedAt ||= performance.now();
    stopping.abort(new DOMException(`stopped by ${signal}`, 'AbortError'));
  });
}
for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
  process.on(event, (error: unknown) => {
    const stack = error instanceof Error ? error.stack : undefined;
    if (logger === undefined) console.error(`anylet: ${event}: ${stack ?? messageOf(error)}`);
    else logger.error(event, { err: messageOf(error), stack });
    process.exit(1);
  });
}

try {
  await runCommandLine(process.argv.slice(2), {
    sources: {
      env: process.env,
      cwd: process.cwd(),
      machine: {
        hostname: hostname(),
        interfaces: networkInterfaces(),
        isRoot: process.getuid?.() === 0,
        homeDir: homedir(),
      },
      files: { read: (path) => readFileSync(path, 'utf8') },
    },
    stdout: process.stdout,
    stderr: process.stderr,
    signal: stopping.signal,
    logTo: (log) => void (logger = log),
  });
} catch (error) {
  const refused = codeOf(error) === 'InvalidInput';
  // A refusal is for the person who wrote the command line; the rest belongs to the daemon's log.
  if (refused || logger === undefined) console.error(`anylet: ${messageOf(error)}`);
  else logger.error('anylet ends', { err: messageOf(error) });
  process.exitCode = refused ? 2 : 1;
}

// What a plugin has left behind (a timer, a socket) must not keep a stopped daemon alive.
setTimeout(() => process.exit(), 5000).unref();
