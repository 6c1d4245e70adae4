import type { IncomingMessage } from 'node:http';

import { beforeEach, describe, expect, it, jest } from '@jest/globals';

import { codeOf } from '../../../src/core/errors.ts';
import { createAuthenticator, type Authenticator } from '../../../src/server/auth/authenticator.ts';
import { bearerTokens, type ReviewToken } from '../../../src/server/auth/bearer-token.ts';
import { userOfCertificate } from '../../../src/server/auth/client-certificate.ts';
import type { User } from '../../../src/server/auth/user.ts';
import { FakeClock } from './fake-clock.ts';

const request = (headers: Record<string, string>) => ({ headers }) as unknown as IncomingMessage;
const bearer = (token: string) => request({ authorization: `Bearer ${token}` });
const alice: User = { name: 'alice', groups: ['staff'] };

describe('bearer token', () => {
  let clock: FakeClock;
  let review: jest.Mock<ReviewToken>;
  let tokens: Authenticator;
  beforeEach(() => {
    clock = new FakeClock();
    review = jest.fn<ReviewToken>((token) => Promise.resolve(token === 'good' ? alice : undefined));
    tokens = bearerTokens({ review, clock, maxEntries: 2 });
  });

  it('is reviewed, and taken out of the request', async () => {
    const req = bearer('good');
    expect(await tokens.authenticate(req)).toEqual(alice);
    expect(req.headers).toEqual({});
  });

  it('is absent: nobody is asked', async () => {
    for (const headers of [
      {},
      { authorization: 'Basic Z29vZA==' },
      { authorization: 'Bearer' },
      { authorization: 'Bearer ' },
    ]) {
      expect(await tokens.authenticate(request(headers))).toBeUndefined();
    }
    expect(review).not.toHaveBeenCalled();
  });

  it('the answer is good for 2 minutes, whether yes or no', async () => {
    for (const token of ['good', 'bad']) {
      review.mockClear();
      await tokens.authenticate(bearer(token)).catch(() => {});
      clock.advance(119_000);
      await tokens.authenticate(bearer(token)).catch(() => {});
      expect(review).toHaveBeenCalledTimes(1);
      clock.advance(2000);
      await tokens.authenticate(bearer(token)).catch(() => {});
      expect(review).toHaveBeenCalledTimes(2);
    }
  });

  it('that nobody has is refused', async () => {
    await expect(tokens.authenticate(bearer('bad'))).rejects.toMatchObject({ code: 'Forbidden' });
  });

  it('a review that failed is not remembered', async () => {
    review.mockRejectedValueOnce(new Error('API server gone'));
    await expect(tokens.authenticate(bearer('good'))).rejects.toThrow('API server gone');
    expect(await tokens.authenticate(bearer('good'))).toEqual(alice);
  });

  it('a review that does not end is given up', async () => {
    let signal: AbortSignal | undefined;
    review.mockImplementationOnce((_token, given) => {
      signal = given;
      return new Promise(() => {});
    });
    const answer = tokens.authenticate(bearer('good'));
    clock.advance(10_000);
    await expect(answer).rejects.toMatchObject({ code: 'Timeout' });
    expect(signal?.aborted).toBe(true);
    expect(clock.waiting).toBe(0);
  });

  it('equal tokens at the same time are reviewed once', async () => {
    await Promise.all([1, 2, 3].map(() => tokens.authenticate(bearer('good'))));
    expect(review).toHaveBeenCalledTimes(1);
  });

  it('a flood of unknown tokens does not become a flood of reviews', async () => {
    review.mockImplementation(() => new Promise(() => {}));
    const answers = Array.from({ length: 40 }, (_, i) => tokens.authenticate(bearer(`t${i}`)));
    const settled = Promise.allSettled(answers);
    expect(review).toHaveBeenCalledTimes(32);
    await expect(answers[39]).rejects.toMatchObject({ code: 'Unavailable' });
    clock.advance(10_000);
    await settled;
    expect(clock.waiting).toBe(0);
  });

  it('the number of remembered tokens is bounded', async () => {
    for (const token of ['good', 'b', 'c', 'good']) await tokens.authenticate(bearer(token)).catch(() => {});
    expect(review).toHaveBeenCalledTimes(4);
  });

  describe('as a WebSocket subprotocol', () => {
    const offer = (protocols: string) => request({ upgrade: 'websocket', 'sec-websocket-protocol': protocols });
    const carrier = `base64url.bearer.authorization.k8s.io.${Buffer.from('good').toString('base64url')}`;

    it('is reviewed, and not among the offered protocols afterwards', async () => {
      const req = offer(`v4.channel.k8s.io, ${carrier},channel.k8s.io`);
      expect(await tokens.authenticate(req)).toEqual(alice);
      expect(req.headers['sec-websocket-protocol']).toBe('v4.channel.k8s.io, channel.k8s.io');
    });

    it.each([
      carrier,
      `${carrier},${carrier},x`,
      'base64url.bearer.authorization.k8s.io.a+b,x',
      'base64url.bearer.authorization.k8s.io.,x',
    ])('%s is malformed', async (protocols) => {
      await expect(tokens.authenticate(offer(protocols))).rejects.toMatchObject({ code: 'InvalidInput' });
    });

    it('counts for WebSocket requests only', async () => {
      expect(await tokens.authenticate(request({ 'sec-websocket-protocol': `${carrier},x` }))).toBeUndefined();
    });
  });
});

describe('client certificate', () => {
  const nowMs = 1000;
  const certificate = {
    subject: { CN: 'bob', O: ['g1', 'g2'] },
    extendedKeyUsage: ['1.3.6.1.5.5.7.3.2'],
    notAfterMs: 2000,
  };
  const refusal = (...parameters: Parameters<typeof userOfCertificate>) => {
    try {
      return userOfCertificate(...parameters);
    } catch (err) {
      return codeOf(err);
    }
  };

  it('names the user by its common name and the groups by its organizations', () => {
    expect(userOfCertificate(certificate, true, nowMs)).toEqual({ name: 'bob', groups: ['g1', 'g2'] });
  });

  it('may name one group or none, and may leave its use open', () => {
    expect(userOfCertificate({ subject: { CN: 'bob', O: 'g1' }, notAfterMs: 2000 }, true, nowMs)?.groups).toEqual([
      'g1',
    ]);
    expect(userOfCertificate({ subject: { CN: 'bob' }, notAfterMs: 2000 }, true, nowMs)?.groups).toEqual([]);
  });

  it('without a common name is nobody', () => {
    expect(userOfCertificate({ ...certificate, subject: { O: 'g1' } }, true, nowMs)).toBeUndefined();
    expect(userOfCertificate({ ...certificate, subject: { CN: '' } }, true, nowMs)).toBeUndefined();
  });

  it('is refused when it is not signed by the client CA, not for clients, or expired on an open connection', () => {
    expect(refusal(certificate, false, nowMs)).toBe('Forbidden');
    expect(refusal({ ...certificate, extendedKeyUsage: ['1.3.6.1.5.5.7.3.1'] }, true, nowMs)).toBe('Forbidden');
    expect(refusal(certificate, true, 2001)).toBe('Forbidden');
  });
});

describe('chain of methods', () => {
  const knows = (user: User | undefined): Authenticator => ({ authenticate: () => Promise.resolve(user) });
  const refuses: Authenticator = { authenticate: () => Promise.reject(new Error('bad credential')) };
  const chain = (anonymous: boolean, ...methods: Authenticator[]) =>
    createAuthenticator({ methods, anonymous }).authenticate(request({}));

  it('the first that knows the user wins, and the user is authenticated', async () => {
    expect(await chain(false, knows(undefined), knows(alice), refuses)).toEqual({
      name: 'alice',
      groups: ['staff', 'system:authenticated'],
    });
  });

  it('a wrong credential does not spoil a right one', async () => {
    expect((await chain(false, refuses, knows(alice)))?.name).toBe('alice');
  });

  it('nothing to go by is nobody, or anonymous where that is let in', async () => {
    expect(await chain(false, knows(undefined))).toBeUndefined();
    expect(await chain(true, knows(undefined))).toEqual({
      name: 'system:anonymous',
      groups: ['system:unauthenticated'],
    });
  });

  it('a wrong credential is never taken for none', async () => {
    await expect(chain(true, refuses)).rejects.toThrow('bad credential');
    await expect(chain(true, refuses, refuses)).rejects.toThrow('bad credential');
  });
});
