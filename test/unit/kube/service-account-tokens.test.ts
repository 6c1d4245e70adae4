import { describe, expect, it } from '@jest/globals';

import { unavailable } from '../../../src/core/errors.ts';
import { ServiceAccountTokens } from '../../../src/kube/service-account-tokens.ts';
import type { TokenQuestion } from '../../../src/kube/service-account-tokens.ts';
import { FakeApi } from './fake-api.ts';
import { ManualClock } from './manual-clock.ts';
import { RecordingLogger } from './recording-logger.ts';

const question: TokenQuestion = {
  namespace: 'ns',
  serviceAccount: 'sa',
  expirationSeconds: 3600,
  pod: { name: 'p', uid: 'u1' },
};

function setUp() {
  const api = new FakeApi();
  const clock = new ManualClock();
  const log = new RecordingLogger();
  let count = 0;
  api.answer = ({ body }) => {
    const { spec } = body as { spec: { expirationSeconds: number } };
    return {
      status: {
        token: `t${++count}`,
        expirationTimestamp: new Date(clock.now() + spec.expirationSeconds * 1000).toISOString(),
      },
    };
  };
  return { api, clock, log, tokens: new ServiceAccountTokens(api, { clock, log }) };
}

describe('service account tokens', () => {
  it('are bound to the pod and meant for the audience', async () => {
    const { api, tokens } = setUp();
    await expect(tokens.get({ ...question, audience: 'vault' })).resolves.toMatchObject({ token: 't1' });
    expect(api.requests).toMatchObject([
      {
        method: 'POST',
        path: '/api/v1/namespaces/ns/serviceaccounts/sa/token',
        body: {
          spec: {
            audiences: ['vault'],
            expirationSeconds: 3600,
            boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: 'p', uid: 'u1' },
          },
        },
      },
    ]);
  });

  it('are renewed when four fifths of their life are over', async () => {
    const { clock, tokens } = setUp();
    await tokens.get(question);
    await clock.advance(2_860_000);
    await expect(tokens.get(question)).resolves.toMatchObject({ token: 't1' });
    await clock.advance(20_000);
    await expect(tokens.get(question)).resolves.toMatchObject({ token: 't2' });
  });

  it('are renewed after a day, however long they live', async () => {
    const { clock, tokens } = setUp();
    const long = { ...question, expirationSeconds: 30 * 86_400 };
    await tokens.get(long);
    await clock.advance(86_400_000);
    await expect(tokens.get(long)).resolves.toMatchObject({ token: 't2' });
  });

  it('serve until they expire when they cannot be renewed', async () => {
    const { api, clock, log, tokens } = setUp();
    await tokens.get(question);
    api.answer = () => {
      throw unavailable('away');
    };
    await clock.advance(3_000_000);
    await expect(tokens.get(question)).resolves.toMatchObject({ token: 't1' });
    expect(log.at('warn')).toHaveLength(1);
    await clock.advance(700_000);
    await expect(tokens.get(question)).rejects.toMatchObject({ code: 'Unavailable' });
  });

  it('are asked for once by many, and one by one for what differs', async () => {
    const { api, tokens } = setUp();
    await Promise.all([
      tokens.get(question),
      tokens.get(question),
      tokens.get({ ...question, audience: 'x' }),
      tokens.get({ ...question, pod: { name: 'p', uid: 'u2' } }),
    ]);
    expect(api.requests).toHaveLength(3);
  });

  it('are forgotten with their pod, also one that is on its way', async () => {
    const { api, tokens } = setUp();
    await tokens.get(question);
    tokens.forget('u1');
    expect(tokens.size).toBe(0);
    const gate = Promise.withResolvers<unknown>();
    api.answer = () => gate.promise;
    const asking = tokens.get(question);
    tokens.forget('u1');
    gate.resolve({ status: { token: 't', expirationTimestamp: '2027-01-01T00:00:00Z' } });
    await asking;
    expect(tokens.size).toBe(0);
  });

  it('that the server refuses leave nothing behind', async () => {
    const { api, tokens } = setUp();
    api.answer = () => ({});
    await expect(tokens.get(question)).rejects.toMatchObject({ code: 'Unavailable' });
    expect(tokens.size).toBe(0);
  });
});
