import { once } from 'node:events';
import { afterEach, describe, expect, it } from '@jest/globals';
import { WebSocket } from 'ws';

import type { RunRemoteCommand } from '../../../src/streaming/index.ts';
import { StreamingServer, until } from './streaming-server.ts';

const servers: StreamingServer[] = [];
const sockets: WebSocket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.terminate();
  for (const server of servers.splice(0)) {
    await until(() => server.serving === 0);
    await server.stop();
    expect(server.failures).toEqual([]);
  }
});

/** Opens a WebSocket to a server that runs `run`; `messages` are `text` or hexadecimal, as they came. */
async function open(
  run: RunRemoteCommand,
  query: string,
  protocols: string[],
): Promise<{ socket: WebSocket; messages: string[]; closed: Promise<number> }> {
  const server = await StreamingServer.start({ run });
  servers.push(server);
  const socket = new WebSocket(`ws://127.0.0.1:${server.port}/exec?${query}`, protocols);
  sockets.push(socket);
  const messages: string[] = [];
  socket.on('message', (message, isBinary) => messages.push((message as Buffer).toString(isBinary ? 'hex' : 'utf8')));
  const closed = once(socket, 'close').then(([code]) => code as number);
  await once(socket, 'open');
  return { socket, messages, closed };
}

const quiet: RunRemoteCommand = async () => ({ exitCode: 0 });

describe('a remote command on the WebSocket wire', () => {
  it.each([
    ['input=1&output=1&error=1', '01'],
    ['input=1&error=1', '02'],
    ['input=1', '03'],
  ])('begins with an empty message on the lowest channel that is written: %s', async (query, first) => {
    const { messages, closed } = await open(quiet, query, ['channel.k8s.io']);
    expect(await closed).toBe(1000);
    expect(messages[0]).toBe(first);
  });

  it('ends with the status on channel 3 and close code 1000', async () => {
    const { messages, closed } = await open(quiet, 'output=1', ['v5.channel.k8s.io']);
    expect(await closed).toBe(1000);
    expect(messages.map((message) => Buffer.from(message, 'hex').toString('latin1'))).toEqual([
      '\x01',
      '\x03{"metadata":{},"status":"Success"}',
    ]);
  });

  it('is text in the base64 protocols, one digit and base64 per message', async () => {
    const run: RunRemoteCommand = async ({ stdin, stdout }) => {
      for await (const chunk of stdin as AsyncIterable<Buffer>) {
        stdout?.write(Buffer.from(chunk.toReversed()));
        if (chunk.includes(0xff)) break;
      }
    };
    const { socket, messages, closed } = await open(run, 'input=1&output=1', ['base64.channel.k8s.io']);
    socket.send(`0${Buffer.from([1, 2, 0xff]).toString('base64')}`);
    await closed;
    expect(messages).toEqual(['1', `1${Buffer.from([0xff, 2, 1]).toString('base64')}`]);
  });

  it('passes over empty messages, channels it does not have and channels that were not asked for', async () => {
    const run: RunRemoteCommand = async ({ stdin, stdout }) => {
      for await (const chunk of stdin as AsyncIterable<Buffer>) stdout?.write(chunk);
    };
    const { socket, messages, closed } = await open(run, 'input=1&output=1', ['v5.channel.k8s.io']);
    for (const message of ['', '0099', '63ff', '04', '017a', '00', 'ff00']) socket.send(Buffer.from(message, 'hex'));
    expect(await closed).toBe(1000);
    expect(messages.slice(0, 2)).toEqual(['01', '0199']);
  });

  it.each(['ff', 'ff0000', 'ff09'])('is broken off by a close of nothing in v5: %s', async (message) => {
    let aborted = false;
    const run: RunRemoteCommand = ({ signal }) =>
      new Promise((resolve) => {
        signal.addEventListener('abort', () => {
          aborted = true;
          resolve();
        });
      });
    const { socket, closed } = await open(run, 'input=1&output=1', ['v5.channel.k8s.io']);
    socket.send(Buffer.from(message, 'hex'));
    expect(await closed).toBe(1002);
    expect(aborted).toBe(true);
  });

  it('takes 255 for a channel like any other before v5', async () => {
    const run: RunRemoteCommand = async ({ stdin, stdout }) => {
      const first = await once(stdin as NonNullable<typeof stdin>, 'data');
      stdout?.write(first[0] as Buffer);
    };
    const { socket, messages, closed } = await open(run, 'input=1&output=1', ['v4.channel.k8s.io']);
    socket.send(Buffer.from('ff00', 'hex'));
    socket.send(Buffer.from('0061', 'hex'));
    await closed;
    expect(messages[1]).toBe('0161');
  });

  it('answers pings', async () => {
    const done = Promise.withResolvers<void>();
    const { socket, closed } = await open(() => done.promise, 'output=1', ['v5.channel.k8s.io']);
    socket.ping('hello');
    expect(String((await once(socket, 'pong'))[0])).toBe('hello');
    done.resolve();
    expect(await closed).toBe(1000);
  });
});
