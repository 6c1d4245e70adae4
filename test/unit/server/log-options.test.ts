import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { Refusal } from '../../../src/server/refusal.ts';
import { parseLogQuery } from '../../../src/server/routes/log-options.ts';

const now = Date.parse('2026-01-01T00:00:00Z');
const parse = (query: string) => parseLogQuery(new URLSearchParams(query), now);
const nothing = { follow: false, timestamps: false, stream: 'All' };

function refusal(query: string): unknown {
  try {
    return parse(query);
  } catch (err) {
    return err instanceof Refusal ? [err.status, err.body] : err;
  }
}

describe('query of a log request', () => {
  it.each<[string, object]>([
    ['', nothing],
    ['follow=true&timestamps=true', { ...nothing, follow: true, timestamps: true }],
    ['follow=false&timestamps=0', nothing],
    ['follow=FALSE', nothing],
    ['follow=x&timestamps=', { ...nothing, follow: true, timestamps: true }],
    ['tailLines=0', { ...nothing, tailLines: 0 }],
    ['tailLines=%2B5', { ...nothing, tailLines: 5 }],
    ['tail=7', { ...nothing, tailLines: 7 }],
    ['tail=7&tailLines=3', { ...nothing, tailLines: 7 }],
    ['tail=all&tailLines=3', nothing],
    ['limitBytes=1', { ...nothing, limitBytes: 1 }],
    ['limitBytes=9223372036854775807', { ...nothing, limitBytes: Number.MAX_SAFE_INTEGER }],
    ['sinceSeconds=60', { ...nothing, sinceMs: now - 60_000 }],
    ['sinceTime=2020-01-01T00:00:00Z', { ...nothing, sinceMs: Date.parse('2020-01-01T00:00:00Z') }],
    ['sinceTime=2020-01-01T01:00:00.5%2B01:00', { ...nothing, sinceMs: Date.parse('2020-01-01T00:00:00.5Z') }],
    ['sinceTime=', nothing],
    ['sinceTime=null&sinceSeconds=1', { ...nothing, sinceMs: now - 1000 }],
    ['stream=Stderr', { ...nothing, stream: 'Stderr' }],
    ['stream=All&tailLines=1', { ...nothing, tailLines: 1 }],
    ['tailLines=1&tailLines=2', { ...nothing, tailLines: 1 }],
  ])('%p is understood', (query, options) => {
    expect(parse(query).options).toEqual(options);
  });

  it('says whether the instance before is meant', () => {
    expect(parse('previous=true').previous).toBe(true);
    expect(parse('').previous).toBe(false);
  });

  it.each([
    'tailLines=x',
    'tailLines=',
    'tailLines=1.5',
    'tailLines=0x10',
    'tail=x',
    'limitBytes=9223372036854775808',
    'sinceSeconds=one',
    'sinceTime=nope',
    'sinceTime=2020-02-30T00:00:00Z',
    'sinceTime=2020-13-01T00:00:00Z',
    'sinceTime=2020-01-01T24:00:00Z',
    'sinceTime=2020-01-01',
  ])('%p cannot be decoded', (query) => {
    expect(refusal(query)).toEqual([400, '{"message": "Unable to decode query."}']);
  });

  it.each([
    'tailLines=-1',
    'tail=-1',
    'limitBytes=0',
    'limitBytes=-9223372036854775808',
    'sinceSeconds=0',
    'sinceSeconds=-5',
    'sinceSeconds=5&sinceTime=2020-01-01T00:00:00Z',
    'stream=Nope',
    'stream=',
    'stream=Stdout&tailLines=1',
  ])('%p is not valid', (query) => {
    expect(refusal(query)).toEqual([422, '{"message": "Invalid request."}']);
  });

  it('never fails in another way, whatever it is given', () => {
    const name = fc.constantFrom(
      'follow',
      'previous',
      'tail',
      'tailLines',
      'limitBytes',
      'sinceSeconds',
      'sinceTime',
      'stream',
    );
    const value = fc.oneof(
      fc.string(),
      fc.integer().map(String),
      fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(name, value), { maxLength: 5 }), (pairs) => {
        const answer = refusal(new URLSearchParams(pairs).toString());
        if (Array.isArray(answer)) expect([400, 422]).toContain(answer[0]);
        else expect(answer).toHaveProperty('options.follow');
      }),
    );
  });
});
