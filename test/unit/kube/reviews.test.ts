import { describe, expect, it } from '@jest/globals';

import { forbidden, unavailable } from '../../../src/core/errors.ts';
import { requestCertificate, signers } from '../../../src/kube/certificate-signing.ts';
import { readClientCa } from '../../../src/kube/client-ca.ts';
import { subjectAccessReview, tokenReview } from '../../../src/kube/reviews.ts';
import { FakeApi, refusal } from './fake-api.ts';
import { ManualClock } from './manual-clock.ts';

describe('a token review', () => {
  it('says whose token it is', async () => {
    const api = new FakeApi();
    api.answer = () => ({
      status: { authenticated: true, user: { username: 'u', groups: ['g'], extra: { k: ['v'] } }, audiences: ['a'] },
    });
    const clock = new ManualClock();
    await expect(tokenReview(api, 'secret', { clock })).resolves.toEqual({
      authenticated: true,
      user: { username: 'u', groups: ['g'], extra: { k: ['v'] } },
      audiences: ['a'],
    });
    expect(api.requests).toMatchObject([
      {
        path: '/apis/authentication.k8s.io/v1/tokenreviews',
        urgent: true,
        body: { kind: 'TokenReview', spec: { token: 'secret' } },
      },
    ]);
  });

  it('says no, with the reason', async () => {
    const api = new FakeApi();
    api.answer = () => ({ status: { error: 'token expired' } });
    await expect(tokenReview(api, 't', { clock: new ManualClock() })).resolves.toEqual({
      authenticated: false,
      error: 'token expired',
    });
  });

  it('asks a stumbling server again, five times at most', async () => {
    const api = new FakeApi();
    api.answer = () => {
      throw unavailable('away');
    };
    const clock = new ManualClock();
    const review = tokenReview(api, 't', { clock });
    const outcome = expect(review).rejects.toMatchObject({ code: 'Unavailable' });
    await clock.advance(10_000);
    await outcome;
    expect(api.requests).toHaveLength(5);
  });

  it('does not insist when it may not ask', async () => {
    const api = new FakeApi();
    api.answer = () => {
      throw forbidden('cannot create tokenreviews');
    };
    await expect(tokenReview(api, 't', { clock: new ManualClock() })).rejects.toMatchObject({ code: 'Forbidden' });
    expect(api.requests).toHaveLength(1);
  });
});

describe('a subject access review', () => {
  it('tells allowed, denied, and neither apart', async () => {
    const api = new FakeApi();
    const clock = new ManualClock();
    const spec = { user: 'u', resourceAttributes: { verb: 'get', resource: 'nodes', subresource: 'metrics' } };
    api.answer = () => ({ status: { allowed: true, reason: 'RBAC' } });
    await expect(subjectAccessReview(api, spec, { clock })).resolves.toEqual({
      allowed: true,
      denied: false,
      reason: 'RBAC',
    });
    api.answer = () => ({ status: { allowed: false, denied: true } });
    await expect(subjectAccessReview(api, spec, { clock })).resolves.toEqual({ allowed: false, denied: true });
    api.answer = () => ({});
    await expect(subjectAccessReview(api, spec, { clock })).resolves.toEqual({ allowed: false, denied: false });
    expect(api.requests[0]).toMatchObject({
      path: '/apis/authorization.k8s.io/v1/subjectaccessreviews',
      body: { spec },
    });
  });
});

describe('the client CA', () => {
  it('is what the cluster publishes, if it does', async () => {
    const api = new FakeApi();
    api.answer = () => ({ data: { 'client-ca-file': 'PEM' } });
    await expect(readClientCa(api)).resolves.toBe('PEM');
    api.answer = () => ({ data: {} });
    await expect(readClientCa(api)).resolves.toBeUndefined();
    api.answer = () => {
      throw refusal(404);
    };
    await expect(readClientCa(api)).resolves.toBeUndefined();
    api.answer = () => {
      throw refusal(403);
    };
    await expect(readClientCa(api)).rejects.toMatchObject({ code: 'Forbidden' });
  });
});

describe('a certificate signing request', () => {
  const question = {
    name: { exact: 'node-csr-x' },
    csrPem: 'CSR',
    signerName: signers.kubeletServing,
    usages: ['digital signature', 'server auth'],
  };

  it('waits for its certificate, through an absence of the server', async () => {
    const api = new FakeApi();
    const clock = new ManualClock();
    const reads: unknown[] = [
      {},
      unavailable('away'),
      { status: { conditions: [{ type: 'Approved' }], certificate: Buffer.from('CERT').toString('base64') } },
    ];
    api.answer = ({ method }) => {
      if (method === 'POST') return { metadata: { name: 'node-csr-x' } };
      const answer = reads.shift();
      if (answer instanceof Error) throw answer;
      return answer;
    };
    const certificate = requestCertificate(api, question, { clock });
    await clock.advance(60_000);
    await expect(certificate).resolves.toBe('CERT');
    expect(api.requests[0]?.body).toMatchObject({
      metadata: { name: 'node-csr-x' },
      spec: { request: Buffer.from('CSR').toString('base64'), signerName: 'kubernetes.io/kubelet-serving' },
    });
  });

  it('takes up an earlier one of its name', async () => {
    const api = new FakeApi();
    api.answer = ({ method }) => {
      if (method === 'POST') throw refusal(409);
      return { status: { certificate: Buffer.from('OLD').toString('base64') } };
    };
    await expect(requestCertificate(api, question, { clock: new ManualClock() })).resolves.toBe('OLD');
  });

  it('fails when it is denied, and when nobody approves it', async () => {
    const api = new FakeApi();
    api.answer = () => ({ metadata: { name: 'n' }, status: { conditions: [{ type: 'Denied', reason: 'Stranger' }] } });
    await expect(requestCertificate(api, question, { clock: new ManualClock() })).rejects.toMatchObject({
      code: 'Forbidden',
    });
    api.answer = () => ({ metadata: { name: 'n' } });
    const clock = new ManualClock();
    const late = expect(requestCertificate(api, question, { clock, timeoutMs: 60_000 })).rejects.toMatchObject({
      code: 'Timeout',
    });
    await clock.advance(70_000);
    await late;
  });
});
