import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Agent, request } from 'undici';
import { parse } from 'yaml';

const launcher = fileURLToPath(new URL('../../../bin/anylet.js', import.meta.url));

export interface Ended {
  /** 128 + signal when one ended it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** From the last signal that was sent, else from the start. */
  readonly ms: number;
}

export interface DevProcess {
  /** Resolves when its standard output, or error output, has this text; rejects when it ends before. */
  said(text: string): Promise<void>;
  kill(signal: NodeJS.Signals): void;
  readonly ended: Promise<Ended>;
}

/** `anylet dev …` as a process of its own, with nothing of this process's environment but the PATH. */
export function startDev(args: readonly string[], env: Readonly<Record<string, string>> = {}): DevProcess {
  const child = spawn(process.execPath, [launcher, 'dev', ...args], {
    cwd: '/',
    env: { PATH: process.env['PATH'], HOME: '/nonexistent', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let since = performance.now();
  const text = { stdout: '', stderr: '' };
  const listeners = new Set<() => void>();
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (piece: string) => {
      text[name] += piece;
      for (const listener of listeners) listener();
    });
  }
  const ended = new Promise<Ended>((resolve) => {
    child.on('close', (code, signal) =>
      resolve({ code: code ?? (signal === null ? -1 : 128), ...text, ms: performance.now() - since }),
    );
  });
  return {
    ended,
    kill(signal) {
      since = performance.now();
      child.kill(signal);
    },
    said: (wanted) =>
      new Promise((resolve, reject) => {
        const look = () => {
          if (!text.stdout.includes(wanted) && !text.stderr.includes(wanted)) return;
          listeners.delete(look);
          resolve();
        };
        listeners.add(look);
        look();
        void ended.then(({ stderr }) => reject(new Error(`it ended without saying ${wanted}:\n${stderr}`)));
      }),
  };
}

/** What a kubeconfig with inline client certificates says. */
export interface Access {
  readonly server: string;
  readonly tls: { readonly ca: string; readonly cert: string; readonly key: string };
}

export function accessOf(kubeconfig: string): Access {
  const { clusters, users } = parse(readFileSync(kubeconfig, 'utf8')) as {
    clusters: { cluster: Record<string, string> }[];
    users: { user: Record<string, string> }[];
  };
  const decoded = (value = '') => Buffer.from(value, 'base64').toString();
  const { cluster = {} } = clusters[0] ?? {};
  const { user = {} } = users[0] ?? {};
  return {
    server: cluster['server'] ?? '',
    tls: {
      ca: decoded(cluster['certificate-authority-data']),
      cert: decoded(user['client-certificate-data']),
      key: decoded(user['client-key-data']),
    },
  };
}

/** One request with a connection of its own; resolves with the answer's text, rejects for anything but 2xx. */
export async function ask(access: Access, method: 'GET' | 'POST', path: string, body?: object): Promise<string> {
  const dispatcher = new Agent({ allowH2: false, connect: access.tls });
  try {
    const answer = await request(access.server + path, {
      method,
      dispatcher,
      ...(body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    const text = await answer.body.text();
    if (answer.statusCode >= 300) throw new Error(`${method} ${path}: ${answer.statusCode} ${text}`);
    return text;
  } finally {
    await dispatcher.destroy();
  }
}

/** Command lines of the processes that have `word` in their arguments or environment; this one left out. */
export function processesWith(word: string): string[] {
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return [];
    try {
      const [command, environment] = ['cmdline', 'environ'].map((file) =>
        readFileSync(join('/proc', pid, file), 'latin1').replaceAll('\0', ' '),
      );
      return command?.includes(word) === true || environment?.includes(word) === true ? [command ?? ''] : [];
    } catch {
      // It has just ended.
      return [];
    }
  });
}
