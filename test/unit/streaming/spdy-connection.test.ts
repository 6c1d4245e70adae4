import { randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { codeOf } from '../../../src/core/errors.ts';
import {
  controlFrame,
  dataHeader,
  frameType,
  goAwayFrame,
  pingFrame,
  resetStatus,
  rstStreamFrame,
  synStreamFrame,
} from '../../../src/streaming/spdy/frames.ts';
import { HeaderWriter } from '../../../src/streaming/spdy/headers.ts';
import { readAll, ServerAndPeer, spdyPair, until } from './spdy-pair.ts';

function data(streamId: number, text: string, fin = false): Buffer {
  return Buffer.concat([dataHeader(streamId, text.length, fin), Buffer.from(text)]);
}

/** A server with one stream, which a bare peer has opened. */
async function withStream(): Promise<ServerAndPeer & { headers: HeaderWriter }> {
  const pair = Object.assign(new ServerAndPeer(), { headers: new HeaderWriter() });
  pair.peer.write(synStreamFrame(1, pair.headers.block({ streamType: 'data' })));
  await until(() => pair.streams.length === 1);
  return pair;
}

describe('a SPDY connection', () => {
  it('carries bytes unchanged in both directions of many streams at once', async () => {
    const { client, server, streams } = spdyPair();
    const sent = Array.from({ length: 8 }, (_, i) => randomBytes(100_000 + i));
    const echoes = await Promise.all(
      sent.map(async (bytes, i) => {
        const stream = await client.open({ streamType: 'data', Number: String(i) });
        streams
          .find(({ streamHeaders }) => streamHeaders.get('number') === String(i))
          ?.on('data', function (this: NodeJS.WritableStream, chunk: Buffer) {
            this.write(chunk);
          })
          .on('end', function (this: NodeJS.WritableStream) {
            this.end();
          });
        stream.end(bytes);
        return readAll(stream);
      }),
    );
    echoes.forEach((echo, i) => expect(echo.equals(sent[i] as Buffer)).toBe(true));
    await until(() => client.streamCount === 0 && server.streamCount === 0);
    client.close();
    await Promise.all([client.closed, server.closed]);
    expect([client.error, server.error]).toEqual([undefined, undefined]);
  });

  it('keeps the order and content of any writes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 70_000 }), { maxLength: 6 }), async (writes) => {
        const { client, server, streams } = spdyPair();
        const stream = await client.open({});
        for (const bytes of writes) stream.write(bytes);
        stream.end();
        expect((await readAll(streams[0] as (typeof streams)[0])).equals(Buffer.concat(writes))).toBe(true);
        client.destroy();
        server.destroy();
        await Promise.all([client.closed, server.closed]);
      }),
      { numRuns: 30 },
    );
  });

  it('half-closes: a stream that was ended can still be read', async () => {
    const { client, streams } = spdyPair();
    const stream = await client.open({});
    stream.end('question');
    const [served] = streams;
    expect((await readAll(served as (typeof streams)[0])).toString()).toBe('question');
    client.destroy();
  });

  it('answers each stream at once, before any data of ours', async () => {
    const headers = new HeaderWriter();
    const pair = new ServerAndPeer({ onStream: (stream) => void stream.write('early') });
    pair.peer.write(synStreamFrame(1, headers.block({})));
    pair.peer.write(synStreamFrame(3, headers.block({})));
    await until(() => pair.received.length === 4);
    expect(pair.receivedTypes).toEqual(['synReply', 'data', 'synReply', 'data']);
    pair.server.destroy();
  });

  it('echoes pings of the peer and resolves its own', async () => {
    const pair = new ServerAndPeer();
    pair.peer.write(pingFrame(41));
    await until(() => pair.received.length === 1);
    expect(pair.received).toEqual([{ type: 'ping', id: 41 }]);
    const answered = pair.server.ping();
    await until(() => pair.received.length === 2);
    expect(pair.received[1]).toEqual({ type: 'ping', id: 2 });
    pair.peer.write(pingFrame(2));
    await answered;
    const unanswered = pair.server.ping();
    pair.server.destroy();
    await expect(unanswered).rejects.toMatchObject({ code: 'Unavailable' });
  });

  it('ends one stream by a reset: what came before is read, then the end; writing fails', async () => {
    const { peer, server, streams } = await withStream();
    const [stream] = streams;
    peer.write(Buffer.concat([data(1, 'last words'), rstStreamFrame(1, resetStatus.cancel)]));
    await until(() => server.streamCount === 0);
    expect((await readAll(stream as (typeof streams)[0])).toString()).toBe('last words');
    expect(stream?.wasReset).toBe(true);
    const failed = new Promise((resolve) => stream?.write('too late', resolve));
    expect(codeOf(await failed)).toBe('Unavailable');
    expect(server.signal.aborted).toBe(false);
    server.destroy();
  });

  it('sends a reset when a stream is destroyed before its ends', async () => {
    const pair = await withStream();
    pair.streams[0]?.destroy();
    await until(() => pair.receivedTypes.includes('rstStream'));
    expect(pair.received.at(-1)).toEqual({ type: 'rstStream', streamId: 1, status: resetStatus.cancel });
    pair.server.destroy();
  });

  it('treats a stream of which nothing is read as one that is only written', async () => {
    const pair = await withStream();
    const [stream] = pair.streams;
    stream?.discardIncoming();
    pair.peer.write(data(1, 'x'.repeat(1_000_000)));
    stream?.end('out');
    await until(() => pair.server.streamCount === 0);
    expect(pair.received.filter(({ type }) => type === 'data')).toEqual([
      { type: 'data', streamId: 1, payload: Buffer.from('out'), fin: false },
      { type: 'data', streamId: 1, payload: Buffer.alloc(0), fin: true },
    ]);
    pair.server.destroy();
  });

  it('refuses streams over its limit, and those it does not admit, one by one', async () => {
    const headers = new HeaderWriter();
    const pair = new ServerAndPeer({ maxStreams: 1, admit: (given) => given.get('streamtype') !== 'strange' });
    pair.peer.write(synStreamFrame(1, headers.block({ streamType: 'strange' })));
    pair.peer.write(synStreamFrame(3, headers.block({ streamType: 'error' })));
    pair.peer.write(synStreamFrame(5, headers.block({ streamType: 'data' })));
    await until(() => pair.received.length === 3);
    expect(
      pair.received.map((frame) => frame.type !== 'data' && 'streamId' in frame && [frame.type, frame.streamId]),
    ).toEqual([
      ['rstStream', 1],
      ['synReply', 3],
      ['rstStream', 5],
    ]);
    expect(pair.streams.length).toBe(1);
    pair.server.destroy();
  });

  it('tells an opener that its stream was refused', async () => {
    const { client, server } = spdyPair({ admit: () => false });
    await expect(client.open({})).rejects.toMatchObject({ code: 'Unavailable' });
    client.destroy();
    await server.closed;
    await expect(client.open({})).rejects.toMatchObject({ code: 'Unavailable' });
  });

  it('gives up opening when its signal aborts', async () => {
    const pair = new ServerAndPeer();
    const controller = new AbortController();
    const opening = pair.server.open({}, controller.signal);
    controller.abort(new Error('no longer wanted'));
    await expect(opening).rejects.toThrow('no longer wanted');
    expect(pair.server.streamCount).toBe(0);
    pair.server.destroy();
  });

  it('ignores what it knows nothing of: settings, windows, data for streams that are over', async () => {
    const pair = await withStream();
    pair.streams[0]?.destroy();
    pair.peer.write(
      Buffer.concat([
        controlFrame(4, 0, Buffer.alloc(4)),
        controlFrame(9, 0, Buffer.alloc(8)),
        data(1, 'late'),
        pingFrame(1),
      ]),
    );
    await until(() => pair.receivedTypes.at(-1) === 'ping');
    expect(pair.receivedTypes).toEqual(['synReply', 'rstStream', 'ping']);
    pair.server.destroy();
  });

  it('answers data for a stream that never was with INVALID_STREAM', async () => {
    const pair = new ServerAndPeer();
    pair.peer.write(data(7, 'who'));
    await until(() => pair.received.length === 1);
    expect(pair.received).toEqual([{ type: 'rstStream', streamId: 7, status: resetStatus.invalidStream }]);
    pair.server.destroy();
  });

  it('ends a stream that begins with FIN or is unidirectional on that side', async () => {
    const headers = new HeaderWriter();
    const pair = new ServerAndPeer();
    pair.peer.write(synStreamFrame(1, headers.block({}), { fin: true }));
    pair.peer.write(synStreamFrame(3, headers.block({}), { unidirectional: true }));
    pair.peer.write(data(3, 'one way', true));
    await until(() => pair.streams.length === 2);
    expect((await readAll(pair.streams[0] as (typeof pair.streams)[0])).length).toBe(0);
    expect((await readAll(pair.streams[1] as (typeof pair.streams)[0])).toString()).toBe('one way');
    expect(pair.receivedTypes).toEqual(['synReply', 'synReply']);
    pair.server.destroy();
  });

  it.each([
    ['a stream id used twice', (block: HeaderWriter) => synStreamFrame(1, block.block({}))],
    [
      'a stream id that goes back',
      (block: HeaderWriter) => Buffer.concat([synStreamFrame(9, block.block({})), synStreamFrame(7, block.block({}))]),
    ],
    ['a stream id of our parity', (block: HeaderWriter) => synStreamFrame(2, block.block({}))],
    ['headers that cannot be inflated', () => synStreamFrame(3, Buffer.from('garbage'))],
    ['a control frame of another version', () => Buffer.from('800200060000000400000001', 'hex')],
    ['a malformed ping', () => controlFrame(frameType.ping, 0, Buffer.alloc(3))],
  ])('ends with a coded error, and every stream with it: %s', async (_, bad) => {
    const pair = await withStream();
    pair.peer.write(bad(pair.headers));
    await pair.server.closed;
    expect(codeOf(pair.server.error)).toBe('InvalidInput');
    expect(pair.server.signal.reason).toBe(pair.server.error);
    expect(pair.streams[0]?.destroyed).toBe(true);
    expect(codeOf(pair.streams[0]?.errored)).toBe('InvalidInput');
    expect(pair.clock.pending).toBe(0);
  });

  it('ends when the peer floods it with pings and reads nothing', async () => {
    const pair = new ServerAndPeer();
    pair.peer.pause();
    const pings = Buffer.concat(Array.from({ length: 10_000 }, () => pingFrame(1)));
    while (!pair.server.signal.aborted) {
      pair.peer.write(pings);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(codeOf(pair.server.error)).toBe('InvalidInput');
    await pair.server.closed;
  });

  it('closes in order: resets what is open, says GOAWAY last, then ends', async () => {
    const pair = await withStream();
    pair.server.close();
    await until(() => pair.peer.readableEnded);
    expect(pair.received.slice(1)).toEqual([
      { type: 'rstStream', streamId: 1, status: resetStatus.cancel },
      { type: 'goAway', lastGoodStreamId: 1, status: 0 },
    ]);
    expect(pair.server.signal.aborted).toBe(true);
    expect(pair.server.error).toBeUndefined();
    pair.peer.end();
    await pair.server.closed;
    expect(pair.clock.pending).toBe(0);
  });

  it('does not wait for ever for a peer that does not close', async () => {
    const pair = new ServerAndPeer();
    pair.server.close();
    await until(() => pair.peer.readableEnded);
    await pair.clock.advance(5_000);
    await pair.server.closed;
  });

  it('ends when the peer says GOAWAY: open streams read as ended', async () => {
    const pair = await withStream();
    pair.peer.write(Buffer.concat([data(1, 'rest'), goAwayFrame(0, 0)]));
    await until(() => pair.server.signal.aborted);
    expect((await readAll(pair.streams[0] as (typeof pair.streams)[0])).toString()).toBe('rest');
    pair.peer.end();
    await pair.server.closed;
  });

  it('breaks open streams when the transport ends without a word', async () => {
    const pair = await withStream();
    pair.peer.end();
    await pair.server.closed;
    expect(codeOf(pair.server.error)).toBe('Unavailable');
    expect(codeOf(pair.streams[0]?.errored)).toBe('Unavailable');
    expect(pair.clock.pending).toBe(0);
  });

  it('closes when nothing came or went for the idle time, and not before', async () => {
    const pair = new ServerAndPeer({ idleTimeoutMs: 60_000 });
    await pair.clock.advance(59_000);
    pair.peer.write(pingFrame(1));
    await until(() => pair.received.length === 1);
    await pair.clock.advance(59_000);
    expect(pair.server.signal.aborted).toBe(false);
    await pair.clock.advance(1_000);
    expect(codeOf(pair.server.error)).toBe('Timeout');
    pair.peer.end();
    await pair.server.closed;
  });

  it('stops reading while a consumer is full, and asks then whether the peer is still there', async () => {
    const pair = await withStream();
    const [stream] = pair.streams;
    let sent = 0;
    const block = data(1, 'x'.repeat(16 * 1024));
    while (pair.peer.write(block) || sent === 0) {
      sent += 16 * 1024;
      await new Promise((resolve) => setImmediate(resolve));
    }
    // One chunk beyond the mark may have been under way.
    expect(stream?.readableLength).toBeGreaterThanOrEqual(128 * 1024);
    expect(stream?.readableLength).toBeLessThanOrEqual(192 * 1024);
    await pair.clock.advance(2_000);
    expect(pair.receivedTypes.filter((type) => type === 'ping').length).toBe(1);
    stream?.resume();
    await new Promise((resolve) => pair.peer.once('drain', resolve));
    await pair.clock.advance(10_000);
    expect(pair.receivedTypes.filter((type) => type === 'ping').length).toBe(1);
    pair.server.destroy();
  });

  it('takes no more from a producer than the transport takes', async () => {
    const pair = await withStream();
    const [stream] = pair.streams;
    pair.peer.pause();
    let taken = 0;
    while (stream?.write(Buffer.alloc(32 * 1024)) === true) taken += 32 * 1024;
    await new Promise((resolve) => setImmediate(resolve));
    expect(taken).toBeLessThanOrEqual(512 * 1024);
    expect(stream?.writableNeedDrain).toBe(true);
    const drained = new Promise((resolve) => stream?.once('drain', resolve));
    pair.peer.resume();
    await drained;
    pair.server.destroy();
  });

  it('shares the transport between streams that all have much to say', async () => {
    const { client, server, streams } = spdyPair();
    const readers = await Promise.all([client.open({}), client.open({})]);
    const [first, second] = streams;
    const big = Buffer.alloc(2 * 1024 * 1024);
    first?.end(big);
    second?.end(big);
    let firstCount = 0;
    let secondWhenFirstEnded = 0;
    readers[1]?.on('data', (chunk: Buffer) => (secondWhenFirstEnded += firstCount < big.length ? chunk.length : 0));
    readers[0]?.on('data', (chunk: Buffer) => (firstCount += chunk.length));
    await until(() => firstCount === big.length);
    expect(secondWhenFirstEnded).toBeGreaterThan(big.length / 2);
    client.destroy();
    await server.closed;
  });
});
