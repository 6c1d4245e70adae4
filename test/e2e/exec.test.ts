import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect, type AddressInfo, createServer } from 'node:net';
import { buffer, text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';

import { spawn as spawnTerminal } from '@lydell/node-pty';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { WebSocket } from 'ws';

import { apiConnection } from './api-connection.ts';
import { cluster } from './cluster.ts';
import { eventually } from './eventually.ts';
import { kubectlEnvironment, kubectlProgram, spawnKubectl } from './kubectl.ts';
import { containerProcesses, shimProcesses } from './leftovers.ts';
import { sh, testNode, untilTerminated } from './test-node.ts';

const node = testNode('exec');

const megabyte = 1024 * 1024;
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

beforeAll(async () => {
  await node.runPod('target', {
    command: sh(untilTerminated()),
    env: [{ name: 'WORD', value: 'of the pod' }],
    workingDir: '/usr',
  });
});

const transports = [
  { transport: 'WebSocket', env: {} },
  { transport: 'SPDY', env: { KUBECTL_REMOTE_COMMAND_WEBSOCKETS: 'false', KUBECTL_PORT_FORWARD_WEBSOCKETS: 'false' } },
] as const;

describe.each(transports)('kubectl exec over $transport', ({ env }) => {
  const exec = (flags: readonly string[], command: readonly string[], input?: Buffer | string) =>
    node.tryKubectl(['exec', ...flags, 'target', '--', ...command], { env, ...(input === undefined ? {} : { input }) });
  const spawnExec = (flags: readonly string[], command: readonly string[]) =>
    spawnKubectl(['--namespace', node.namespace, 'exec', ...flags, 'target', '--', ...command], {
      env,
      kubeconfig: node.kubeconfig,
    });

  it('gives output and errors apart', async () => {
    const { stdout, stderr, code } = await exec([], sh('echo out; echo err >&2'));
    expect([stdout.toString(), stderr, code]).toEqual(['out\n', 'err\n', 0]);
  });

  it('ends with the exit code of the command', async () => {
    const { stderr, code } = await exec([], sh('exit 42'));
    expect([stderr, code]).toEqual(['command terminated with exit code 42\n', 42]);
    expect((await exec([], sh('kill -9 $$'))).code).toBe(137);
  });

  it('says that a command is not there', async () => {
    const { stderr, code } = await exec([], ['/no/such/command']);
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/no such file or directory/);
  });

  it('runs in the environment and the directory of the container', async () => {
    const { stdout } = await exec([], sh('pwd; echo $WORD; echo ${LEAK-none}'));
    expect(stdout.toString()).toBe('/usr\nof the pod\nnone\n');
  });

  it('gives no input without -i, and all of it until its end with -i', async () => {
    expect((await exec([], ['wc', '-c'], 'not to be read')).stdout.toString().trim()).toBe('0');
    expect((await exec(['-i'], ['wc', '-c'], 'x'.repeat(100_000))).stdout.toString().trim()).toBe('100000');
    expect((await exec(['-i'], ['cat'], '')).stdout.toString()).toBe('');
  });

  it('changes no byte in either direction', async () => {
    const bytes = randomBytes(megabyte);
    const there = await exec(['-i'], ['sha256sum'], bytes);
    expect(there.stdout.toString().split(' ')[0]).toBe(sha256(bytes));
    const andBack = await exec(['-i'], ['cat'], bytes);
    expect(sha256(andBack.stdout)).toBe(sha256(bytes));
    const onStderr = spawnExec(['-i'], sh('cat >&2'));
    const [received] = await Promise.all([
      buffer(onStderr.stderr),
      new Promise((sent) => onStderr.stdin.end(bytes, () => sent(undefined))),
    ]);
    expect(sha256(received)).toBe(sha256(bytes));
  });

  it('is a terminal with -t, whose size follows that of the client', async () => {
    const seen = terminal(
      ['exec', '-it', 'target', '--', ...sh(`trap 'stty size' WINCH; tty; stty size; while :; do sleep 0.05; done`)],
      env,
    );
    await seen.until(/\/dev\/pts\/\d+\r\n31 101\r\n/);
    seen.resize(122, 44);
    await seen.until(/44 122\r\n/);
    // Ctrl-C is the terminal's to turn into a signal.
    seen.write('\u0003');
    expect(await seen.exitCode).toBe(130);
  });

  it('asks and answers on a terminal', async () => {
    const shell = terminal(['exec', '-it', 'target', '--', '/bin/sh'], env);
    await shell.until(/[#$] $/);
    shell.write('echo $((40 + 2))\r');
    await shell.until(/\r\n42\r\n/);
    shell.write('exit 3\r');
    expect(await shell.exitCode).toBe(3);
  });

  it('carries 100 MB each way without keeping them in memory', async () => {
    const [shim] = shimProcesses(node.stateDir);
    const processes = { daemon: node.daemon.pid, shim: shim!.pid };
    // Once before, so that what is loaded and reserved only once is not counted.
    await Promise.all([
      exec(['-i'], ['wc', '-c'], Buffer.alloc(20 * megabyte)),
      exec([], ['head', '-c', '20M', '/dev/zero']),
    ]);
    const before = peakMemory(processes);

    const down = spawnExec([], ['head', '-c', '100M', '/dev/zero']);
    down.stdin.end();
    const first = (await once(down.stdout, 'data')) as [Buffer];
    // A client that does not read for a while: nothing of what piles up may pile up here.
    down.stdout.pause();
    await untilStill(() => writtenByExec('head -c 100M'));
    let received = first[0].length;
    for await (const chunk of down.stdout) received += (chunk as Buffer).length;
    expect(received).toBe(100 * megabyte);

    const up = spawnExec(['-i'], ['wc', '-c']);
    const block = Buffer.alloc(megabyte);
    const count = text(up.stdout);
    for (let sent = 0; sent < 100; sent++) if (!up.stdin.write(block)) await once(up.stdin, 'drain');
    up.stdin.end();
    expect((await count).trim()).toBe(String(100 * megabyte));

    const after = peakMemory(processes);
    expect(after.daemon - before.daemon).toBeLessThan(50 * megabyte);
    expect(after.shim - before.shim).toBeLessThan(50 * megabyte);
  });

  it('ends what it has started when the client vanishes', async () => {
    const client = spawnExec(['-i'], sh('setsid sleep 31415 & sleep 31415 & echo started; wait'));
    expect(((await once(client.stdout, 'data')) as [Buffer])[0].toString()).toBe('started\n');
    const started = () => containerProcesses(node.stateDir).filter(({ command }) => command === 'sleep 31415');
    await eventually(() => started().length === 2, 'both to run');
    client.kill('SIGKILL');
    await eventually(() => started().length === 0, 'the processes of the exec to end');
  });

  it('attaches to what a container says and hears', async () => {
    const name = `attach-${env === transports[0].env ? 'ws' : 'spdy'}`;
    const script = `echo ready; while read line; do echo "heard $line"; done; echo over`;
    await node.runPod(name, { command: sh(script), stdin: true, stdinOnce: true }, { restartPolicy: 'Never' });
    const client = spawnKubectl(['--namespace', node.namespace, 'attach', '-i', name], {
      env,
      kubeconfig: node.kubeconfig,
    });
    let seen = '';
    client.stdout.setEncoding('utf8').on('data', (chunk: string) => (seen += chunk));
    client.stdin.write('one\n');
    await eventually(() => seen.includes('heard one\n'), 'the answer');
    client.stdin.end('two\n');
    await node.podPhase(name, 'Succeeded');
    await eventually(() => seen.endsWith('heard one\nheard two\nover\n'), 'the rest');
    expect(await node.logs(name)).toBe('ready\nheard one\nheard two\nover\n');
    client.kill();
  });

  it('attaches to a terminal', async () => {
    const name = `terminal-${env === transports[0].env ? 'ws' : 'spdy'}`;
    await node.runPod(name, { command: ['/bin/sh'], stdin: true, tty: true }, { restartPolicy: 'Never' });
    const shell = terminal(['attach', '-it', name], env);
    shell.write('\r');
    await shell.until(/[#$] $/);
    shell.write('stty size; tty\r');
    await shell.until(/31 101\r\n\/dev\/pts\/\d+\r\n/);
    shell.write('exit 4\r');
    const ended = await node.podPhase(name, 'Failed');
    expect(ended.status?.containerStatuses?.[0]?.state?.terminated).toMatchObject({ exitCode: 4 });
    await shell.exitCode;
  });

  it('forwards ports', async () => {
    const port = await freePort();
    const name = `echo-${env === transports[0].env ? 'ws' : 'spdy'}`;
    const script = `require('node:net').createServer((s) => s.pipe(s)).listen(${port}, '127.0.0.1', () => console.log('listening'))`;
    await node.apply(node.pod(name, { command: [process.execPath, '-e', script] }));
    await node.logged(name, /listening/);
    const client = spawnKubectl(['--namespace', node.namespace, 'port-forward', name, `:${port}`], {
      env,
      kubeconfig: node.kubeconfig,
    });
    let said = '';
    client.stdout.setEncoding('utf8').on('data', (chunk: string) => (said += chunk));
    const [, local] = await eventually(
      () => /Forwarding from 127\.0\.0\.1:(\d+) ->/.exec(said) ?? undefined,
      'port-forward',
    );
    const bytes = randomBytes(megabyte);
    const roundTrip = async () => {
      const socket = connect(Number(local), '127.0.0.1');
      socket.end(bytes);
      return sha256(await buffer(socket));
    };
    expect(await Promise.all([roundTrip(), roundTrip(), roundTrip()])).toEqual(Array(3).fill(sha256(bytes)));
    client.kill();
    await once(client, 'close');
    await node.kubectl(['delete', 'pod', name, '--wait=false']);
  });

  it('says what it cannot forward to', async () => {
    const client = spawnKubectl(['--namespace', node.namespace, 'port-forward', 'target', `:${await freePort()}`], {
      env,
      kubeconfig: node.kubeconfig,
    });
    const ended = once(client, 'close');
    let said = '';
    for (const stream of [client.stdout, client.stderr])
      stream.setEncoding('utf8').on('data', (chunk: string) => (said += chunk));
    const [, local] = await eventually(
      () => /Forwarding from 127\.0\.0\.1:(\d+) ->/.exec(said) ?? undefined,
      'port-forward',
    );
    const socket = connect(Number(local), '127.0.0.1');
    socket.on('error', () => {});
    await eventually(() => /refused/i.test(said), 'kubectl to say that nobody listens');
    socket.destroy();
    client.kill();
    await ended;
  });

  it('copies files there and back', async () => {
    const file = {
      here: node.scratch.file('here'),
      there: node.scratch.file('there'),
      back: node.scratch.file('back'),
    };
    writeFileSync(file.here, randomBytes(megabyte));
    await node.kubectl(['cp', file.here, `target:${file.there}`], { env });
    await node.kubectl(['cp', `target:${file.there}`, file.back], { env });
    expect(sha256(readFileSync(file.back))).toBe(sha256(readFileSync(file.here)));
  });
});

describe('exec', () => {
  it('leaves a process the descriptors 0, 1 and 2 only, after terminals were used too', async () => {
    const first = terminal(['exec', '-it', 'target', '--', 'true'], {});
    expect(await first.exitCode).toBe(0);
    // 3 is the listing's own.
    const list = ['ls', '/proc/self/fd'];
    expect((await node.kubectl(['exec', 'target', '--', ...list])).trim().split(/\s+/)).toEqual(['0', '1', '2', '3']);
    await node.apply(node.pod('listing', { command: list }, { restartPolicy: 'Never' }));
    await node.podPhase('listing', 'Succeeded');
    expect((await node.logs('listing')).trim().split(/\s+/)).toEqual(['0', '1', '2', '3']);
  });

  it('into a container that does not run is refused', async () => {
    await node.apply(node.pod('over', { command: sh('exit 0') }, { restartPolicy: 'Never' }));
    await node.podPhase('over', 'Succeeded');
    const { stderr, code } = await node.tryKubectl(['exec', 'over', '--', 'true']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/cannot exec into a container in a completed pod|container not found/);
  });

  const protocols = [
    'v5.channel.k8s.io',
    'v4.channel.k8s.io',
    'channel.k8s.io',
    'v4.base64.channel.k8s.io',
    'base64.channel.k8s.io',
  ];
  const query = (streams: Readonly<Record<string, string>>) => {
    const parameters = new URLSearchParams(streams);
    for (const word of sh('read line; echo "out $line"; echo err >&2; exit 5')) parameters.append('command', word);
    return parameters.toString();
  };

  it.each(protocols)('speaks the WebSocket protocol %s through the API server', async (protocol) => {
    const { server } = await apiConnection();
    const path = `/api/v1/namespaces/${node.namespace}/pods/target/exec`;
    const streams = { stdin: 'true', stdout: 'true', stderr: 'true' };
    expectGoodTalk(protocol, await converse(new URL(`${path}?${query(streams)}`, server), protocol, 'hello\n'));
  });

  it.each(protocols)('speaks the WebSocket protocol %s on the node itself', async (protocol) => {
    const path = `/exec/${node.namespace}/target/main`;
    const url = new URL(`${path}?${query({ input: '1', output: '1', error: '1' })}`, await kubeletUrl());
    expectGoodTalk(protocol, await converse(url, protocol, 'hello\n'));
  });
});

function expectGoodTalk(protocol: string, said: Said): void {
  expect(said).toMatchObject({ out: 'out hello\n', err: 'err\n' });
  if (!/^v[45]\.channel/.test(protocol))
    return void expect(said.status).toMatch(/command terminated with (non-zero )?exit code/);
  expect(JSON.parse(said.status)).toMatchObject({
    status: 'Failure',
    reason: 'NonZeroExitCode',
    details: { causes: [{ reason: 'ExitCode', message: '5' }] },
  });
}

async function kubeletUrl(): Promise<string> {
  return `https://${cluster.nodeIP}:${await node.daemon.ready()}`;
}

interface Said {
  out: string;
  err: string;
  status: string;
}

/** One exec on a WebSocket of this subprotocol: a line is sent, and all that comes is collected until the end. */
async function converse(url: URL, protocol: string, line: string): Promise<Said> {
  const { server, tls, headers } = await apiConnection();
  const socket = new WebSocket(url, [protocol], {
    ...tls,
    headers,
    // A node has signed its certificate itself.
    rejectUnauthorized: url.host === server.host,
  });
  const base64 = protocol.includes('base64');
  const said: Said = { out: '', err: '', status: '' };
  const fields = ['', 'out', 'err', 'status'] as const;
  socket.on('message', (data: Buffer) => {
    const channel = base64 ? Number(String.fromCharCode(data[0]!)) : data[0]!;
    const payload = base64 ? Buffer.from(data.subarray(1).toString(), 'base64') : data.subarray(1);
    const field = fields[channel] ?? '';
    if (field !== '') said[field] += payload.toString();
  });
  const ended = once(socket, 'close');
  socket.once(
    'unexpected-response',
    (_request, response) => void text(response).then((body) => socket.emit('error', new Error(body))),
  );
  await once(socket, 'open');
  expect(socket.protocol).toBe(protocol);
  socket.send(base64 ? `0${Buffer.from(line).toString('base64')}` : Buffer.concat([Buffer.of(0), Buffer.from(line)]));
  await ended;
  return said;
}

/** kubectl on a terminal of 101 columns and 31 rows. */
function terminal(args: readonly string[], env: Readonly<Record<string, string>>) {
  const child = spawnTerminal(kubectlProgram(), ['--namespace', node.namespace, ...args], {
    cols: 101,
    rows: 31,
    env: kubectlEnvironment({ env, kubeconfig: node.kubeconfig }),
  });
  let seen = '';
  child.onData((data) => (seen += data));
  return {
    exitCode: new Promise<number>((resolve) => child.onExit(({ exitCode }) => resolve(exitCode))),
    until: (pattern: RegExp) =>
      eventually(() => pattern.test(seen), `${pattern} on the terminal`).catch((error: unknown) => {
        throw new Error(`the terminal shows ${JSON.stringify(seen)}`, { cause: error });
      }),
    write: (data: string) => child.write(data),
    resize: (columns: number, rows: number) => child.resize(columns, rows),
  };
}

/** The most memory that each process has ever had, in bytes. */
function peakMemory<T extends Record<string, number>>(pids: T): { [K in keyof T]: number } {
  const peak = (pid: number) =>
    1024 * Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
  return Object.fromEntries(Object.entries(pids).map(([name, pid]) => [name, peak(pid)])) as { [K in keyof T]: number };
}

/** How much the process with this command has written so far. */
function writtenByExec(command: string): number {
  const found = containerProcesses(node.stateDir).find((process) => process.command.includes(command));
  if (found === undefined) throw new Error(`${command} does not run`);
  return Number(/wchar: (\d+)/.exec(readFileSync(`/proc/${found.pid}/io`, 'utf8'))?.[1]);
}

/** Resolves when a number has not changed for a while: the one thing that cannot be waited for in another way. */
async function untilStill(read: () => number): Promise<void> {
  for (let last = -1, still = 0; still < 15; await delay(20)) {
    const now = read();
    still = now === last ? still + 1 : 0;
    last = now;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
