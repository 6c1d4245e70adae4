import { once } from 'node:events';
import { text } from 'node:stream/consumers';

import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';

import type { AttachRequest, ExecRequest } from '../../../src/providers/contract.ts';
import type { KubeletServerOptions } from '../../../src/server/index.ts';
import { openPortForward, openRemoteCommand } from '../../../src/streaming/index.ts';
import { apiPod } from './api-pod.ts';
import { createCredentials, KubeletUnderTest, type Credentials } from './kubelet-under-test.ts';

let credentials: Credentials;
let kubelet: KubeletUnderTest;
beforeAll(async () => {
  credentials = await createCredentials();
});
afterEach(() => kubelet.close());

async function start(provider: Omit<KubeletServerOptions['provider'], 'name'>): Promise<void> {
  kubelet = await KubeletUnderTest.start(credentials, { pods: [apiPod()], provider: { name: 'fake', ...provider } });
}

const transports = ['spdy', 'websocket'] as const;
type Transport = (typeof transports)[number];
const target = (transport: Transport, path: string, protocols?: string[]) => ({
  transport,
  url: kubelet.url(path),
  tls: kubelet.tls(kubelet.admin),
  ...(protocols === undefined ? {} : { protocols }),
});
const all = { stdin: true, stdout: true, stderr: true, tty: false };

/** Resolves when the client has left, as a command that is killed then. */
const killed = async ({ signal, stdout, stderr }: AttachRequest) => {
  if (!signal.aborted) await once(signal, 'abort');
  stdout?.destroy();
  stderr?.destroy();
  return { exitCode: 137 };
};

describe.each(transports)('over %s', (transport) => {
  it('exec carries a command, its streams and its exit code', async () => {
    const commands: (readonly string[])[] = [];
    await start({
      exec: async (_target, { command, stdin, stdout, stderr }: ExecRequest) => {
        commands.push(command);
        stdout?.end((await text(stdin!)).toUpperCase());
        stderr?.end('done');
        return { exitCode: 3 };
      },
    });
    const query = 'command=sh&command=-c&command=a%20b%26c&input=1&output=1&error=1';
    const session = await openRemoteCommand(target(transport, `/exec/default/api/c?${query}`), all);
    session.stdin?.end('hello');
    const [stdout, stderr, status] = await Promise.all([text(session.stdout!), text(session.stderr!), session.status]);
    expect([stdout, stderr, status?.details?.causes?.[0]?.message]).toEqual(['HELLO', 'done', '3']);
    expect(commands).toEqual([['sh', '-c', 'a b&c']]);
    await session.close();
  });

  it('attach has a terminal when the container has, whatever is asked', async () => {
    const joined: AttachRequest[] = [];
    await start({
      attach: (_target, request) => {
        joined.push(request);
        request.stdout?.end('screen');
        return Promise.resolve();
      },
    });
    const session = await openRemoteCommand(target(transport, '/attach/default/api/terminal?output=1&error=1'), {
      ...all,
      stdin: false,
      stderr: false,
      tty: true,
    });
    expect([await text(session.stdout!), (await session.status)?.status]).toEqual(['screen', 'Success']);
    expect([joined[0]?.tty, joined[0]?.stderr]).toEqual([true, undefined]);
    await session.close();
  });

  it('a client that vanishes ends its own command and nothing else', async () => {
    const started: ExecRequest[] = [];
    await start({
      exec: (_target, request) => {
        started.push(request);
        return killed(request);
      },
    });
    const path = '/exec/default/api/c?command=sleep&output=1';
    const wanted = { ...all, stdin: false, stderr: false };
    const one = await openRemoteCommand(target(transport, path), wanted);
    const two = await openRemoteCommand(target(transport, path), wanted);
    for (const session of [one, two]) session.stdout?.on('error', () => {}).resume();
    // A command starts once all its streams are there, which the client does not hear of.
    while (started.length < 2) await kubelet.ask('GET', '/healthz', kubelet.admin);
    const [first, second] = started as [ExecRequest, ExecRequest];
    const aborted = first.signal.aborted ? undefined : once(first.signal, 'abort');
    await one.close();
    await aborted;
    expect(second.signal.aborted).toBe(false);
    await two.close();
  });

  it('a server that stops ends commands', async () => {
    const started = Promise.withResolvers<AbortSignal>();
    await start({
      exec: (_target, request) => {
        started.resolve(request.signal);
        return killed(request);
      },
    });
    const session = await openRemoteCommand(target(transport, '/exec/default/api/c?command=sleep&output=1'), {
      ...all,
      stdin: false,
      stderr: false,
    });
    session.stdout?.on('error', () => {}).resume();
    const signal = await started.promise;
    await kubelet.server.close(60_000);
    expect(signal.aborted).toBe(true);
    await session.close();
  });

  it('a protocol that is not spoken is refused before the connection is taken over', async () => {
    await start({ exec: () => Promise.reject(new Error('must not run')) });
    const path = '/exec/default/api/c?command=ls&output=1';
    await expect(openRemoteCommand(target(transport, path, ['v9.channel.k8s.io']), all)).rejects.toMatchObject({
      status: 403,
    });
    expect((await kubelet.ask('GET', '/healthz', kubelet.admin)).status).toBe(200);
  });

  it('port-forward connects with ports of the pod, many at a time', async () => {
    await start({
      portForward: async (uid, port, stream) => {
        stream.end(`${uid}:${port}`);
        stream.resume();
        await once(stream, 'close');
      },
    });
    const client = await openPortForward(target(transport, '/portForward/default/api'));
    const connections = await Promise.all([80, 443].map((port) => client.connect(port)));
    const said = await Promise.all(
      connections.map(({ data }) => {
        data.end();
        return text(data);
      }),
    );
    expect(said).toEqual(['uid-api:80', 'uid-api:443']);
    await client.close();
  });

  it('port-forward says what failed', async () => {
    await start({ portForward: () => Promise.reject(new Error('connection refused')) });
    const client = await openPortForward(target(transport, '/portForward/default/api'));
    const { data, error } = await client.connect(80);
    data.on('error', () => {}).resume();
    expect(await error).toBe('error forwarding port 80 to pod api_default, uid : connection refused');
    await client.close();
  });

  it('port-forward ends with its pod', async () => {
    await start({ portForward: (_uid, _port, _stream, signal) => once(signal, 'abort').then(() => {}) });
    const client = await openPortForward(target(transport, '/portForward/default/api'));
    const [pod] = kubelet.pods;
    kubelet.pods = [{ ...pod!, metadata: { ...pod!.metadata, uid: 'its-successor' } }];
    if (!client.signal.aborted) await once(client.signal, 'abort');
    await client.close();
  });
});

it('a SPDY request that names no protocol is 400 in the words of the kubelet', async () => {
  await start({ exec: () => Promise.reject(new Error('must not run')) });
  const headers = { connection: 'Upgrade', upgrade: 'SPDY/3.1' };
  const { status, body } = await kubelet.ask('POST', '/exec/default/api/c?command=ls&output=1', {
    ...kubelet.admin,
    headers,
  });
  expect([status, body]).toEqual([
    400,
    expect.stringMatching(
      /^unable to upgrade: header X-Stream-Protocol-Version does not exist in request with \d+ headers/,
    ),
  ]);
});
