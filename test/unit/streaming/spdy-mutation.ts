import { duplexPair } from 'node:stream';

import { codeOf } from '../../../src/core/errors.ts';
import { SpdyConnection } from '../../../src/streaming/spdy/connection.ts';
import {
  controlFrame,
  dataHeader,
  goAwayFrame,
  pingFrame,
  rstStreamFrame,
  synReplyFrame,
  synStreamFrame,
} from '../../../src/streaming/spdy/frames.ts';
import { HeaderWriter } from '../../../src/streaming/spdy/headers.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';

/** A small generator of pseudo-random numbers, so that a failure can be repeated from its seed (mulberry32). */
export function randomFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

/** What a well-behaved peer of either role may say in one session, frame by frame. */
function conversation(random: (below: number) => number, role: 'client' | 'server'): Buffer[] {
  const headers = new HeaderWriter();
  const frames: Buffer[] = [];
  const firstId = role === 'client' ? 1 : 2;
  const streams = 1 + random(4);
  for (let i = 0; i < streams; i++) {
    const block = headers.block({
      streamType: ['error', 'stdin', 'stdout', 'data'][random(4)] as string,
      port: String(random(70_000)),
    });
    frames.push(synStreamFrame(firstId + 2 * i, block, { fin: random(8) === 0, unidirectional: random(8) === 0 }));
  }
  for (let i = random(20); i > 0; i--) {
    const id = firstId + 2 * random(streams + 1);
    const length = random(4) === 0 ? random(40_000) : random(50);
    switch (random(8)) {
      case 0:
        frames.push(pingFrame(random(100)));
        break;
      case 1:
        frames.push(rstStreamFrame(id, 1 + random(6)));
        break;
      case 2:
        frames.push(controlFrame(4 + random(7), 0, Buffer.alloc(random(30))));
        break;
      case 3:
        frames.push(synReplyFrame(id, headers.block({})));
        break;
      default:
        frames.push(Buffer.concat([dataHeader(id, length, random(5) === 0), Buffer.alloc(length, i)]));
    }
  }
  if (random(3) === 0) frames.push(goAwayFrame(0, 0));
  return frames;
}

/** Damages a conversation in one of the ways in which peers and networks do. */
function mutate(frames: Buffer[], random: (below: number) => number): Buffer {
  const pick = () => random(frames.length);
  for (let i = random(4); i > 0; i--) {
    const frame = Buffer.from(frames[pick()] as Buffer);
    switch (random(6)) {
      case 0:
        frames.splice(pick(), 0, frame);
        break;
      case 1:
        frames.splice(pick(), 1, frame.subarray(0, random(frame.length + 1)));
        break;
      case 2:
        frame[random(Math.min(frame.length, 20))] = random(256);
        frames.splice(pick(), 1, frame);
        break;
      case 3:
        frame.fill(random(256), random(frame.length + 1));
        frames.splice(pick(), 1, frame);
        break;
      case 4:
        frames.splice(pick(), 0, Buffer.from(Array.from({ length: random(64) }, () => random(256))));
        break;
      default:
        frames.reverse();
    }
    if (frames.length === 0) break;
  }
  return Buffer.concat(frames);
}

/**
 * Plays one damaged conversation, cut at random places, to a connection whose consumers read, write, stall and leave
 * at random. Rejects when anything but a coded end of that connection comes of it: an error without a code, a timer
 * or stream left over, a transport left open.
 */
export async function playMutation(seed: number): Promise<'closed in order' | 'refused' | 'broken off'> {
  const random = randomFrom(seed);
  const role = random(4) === 0 ? 'client' : 'server';
  const clock = new FakeClock();
  const [near, far] = duplexPair();
  far.on('error', () => {});
  far.resume();
  const connection = new SpdyConnection(near, {
    role,
    clock,
    idleTimeoutMs: 1000,
    maxStreams: 1 + random(6),
    maxHeaderBytes: 4096,
    maxControlFrameBytes: 4096,
    admit: () => random(6) !== 0,
    onStream(stream) {
      const behaviour = random(6);
      if (behaviour === 0) stream.destroy();
      else if (behaviour === 1) stream.discardIncoming();
      else if (behaviour === 2) stream.on('data', (chunk: Buffer) => void (stream.writable && stream.write(chunk)));
      else if (behaviour === 3 && stream.writable) stream.end('done');
      else if (behaviour === 4) stream.resume();
    },
  });
  if (random(3) === 0)
    connection.open({ streamType: 'data' }).then(
      (stream) => stream.end('x'),
      () => {},
    );

  const bytes = mutate(conversation(random, role === 'server' ? 'client' : 'server'), random);
  for (let at = 0; at < bytes.length && !connection.signal.aborted;) {
    const end = at + 1 + random(random(2) === 0 ? 10 : 5000);
    far.write(bytes.subarray(at, end));
    at = end;
    if (random(4) === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await new Promise((resolve) => setImmediate(resolve));
  const end = random(4);
  if (end < 2) connection.close();
  else if (end === 2) far.destroy();
  far.end();
  while (!near.destroyed) await clock.advance(1000);
  await connection.closed;

  if (!connection.signal.aborted) throw new Error('the signal did not abort');
  if (clock.pending !== 0) throw new Error(`${clock.pending} timers are left`);
  if (connection.streamCount !== 0) throw new Error(`${connection.streamCount} streams are left`);
  if (connection.error === undefined) return 'closed in order';
  const code = codeOf(connection.error);
  if (code === undefined) throw new Error('the connection ended without a code', { cause: connection.error });
  return code === 'InvalidInput' ? 'refused' : 'broken off';
}
