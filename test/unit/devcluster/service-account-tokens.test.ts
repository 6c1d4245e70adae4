import { describe, expect, it } from '@jest/globals';

import { ServiceAccountTokens, issuer } from '../../../src/devcluster/auth/service-account-tokens.ts';
import { kindNamed } from '../../../src/devcluster/kinds/table.ts';
import { codeOfApiError, inNamespace, pod } from './test-registry.ts';

function setUp() {
  const cluster = inNamespace('default');
  const tokens = new ServiceAccountTokens(cluster.registry, cluster.clock);
  const ask = (spec: object) =>
    tokens.request('default', 'default', { spec: spec as never })['status'] as {
      token: string;
      expirationTimestamp: string;
    };
  return { ...cluster, tokens, ask };
}

describe('a service account token', () => {
  it('is good until it expires', async () => {
    const { tokens, ask, clock } = setUp();
    const { token, expirationTimestamp } = ask({ expirationSeconds: 600 });
    expect(expirationTimestamp).toBe('2026-01-01T00:10:00Z');
    expect(tokens.authenticate(token)?.user.name).toBe('system:serviceaccount:default:default');
    await clock.advance(599_000);
    expect(tokens.authenticate(token)).toBeDefined();
    await clock.advance(1000);
    expect(tokens.authenticate(token)).toBeUndefined();
  });

  it('is good for its audiences only', () => {
    const { tokens, ask } = setUp();
    const { token } = ask({ audiences: ['vault', 'x'] });
    expect(tokens.authenticate(token)).toBeUndefined();
    expect(tokens.authenticate(token, ['y', 'vault'])?.audiences).toEqual(['vault']);
    expect(tokens.authenticate(ask({}).token)?.audiences).toEqual([issuer]);
  });

  it('lives a year when it is the one that a kubelet mounts by default', async () => {
    const { create, tokens, ask, clock } = setUp();
    create(pod('p', { nodeName: 'n' }));
    const boundObjectRef = { kind: 'Pod', apiVersion: 'v1', name: 'p' };
    const kubelets = ask({ expirationSeconds: 3607, boundObjectRef });
    const others = ask({ expirationSeconds: 3600, boundObjectRef });
    expect(kubelets.expirationTimestamp).toBe('2026-01-01T01:00:07Z');
    await clock.advance(4_000_000);
    expect(tokens.authenticate(kubelets.token)?.user.extra).toMatchObject({
      'authentication.kubernetes.io/pod-name': ['p'],
      'authentication.kubernetes.io/node-name': ['n'],
    });
    expect(tokens.authenticate(others.token)).toBeUndefined();
  });

  it('dies with what it is bound to, even when a namesake follows', () => {
    const { create, tokens, ask, ...cluster } = setUp();
    create(pod('p'));
    const { token } = ask({ boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'p' } });
    cluster.delete('p');
    create(pod('p'));
    expect(tokens.authenticate(token)).toBeUndefined();
  });

  it('is no token when it was changed or signed by another', () => {
    const { tokens, ask } = setUp();
    const [header, payload, signature] = ask({}).token.split('.') as [string, string, string];
    const forged = Buffer.from(
      Buffer.from(payload, 'base64url').toString().replace('default:default', 'kube-system:admin'),
    ).toString('base64url');
    expect(tokens.authenticate(`${header}.${forged}.${signature}`)).toBeUndefined();
    expect(tokens.authenticate(setUp().ask({}).token)).toBeUndefined();
    expect(tokens.authenticate('not.a.token')).toBeUndefined();
  });

  it('is refused for less than ten minutes and for another’s pod', () => {
    const { create, registry, ask } = setUp();
    registry.create(kindNamed('ServiceAccount'), 'default', { metadata: { name: 'other' } });
    create(pod('p', { serviceAccountName: 'other' }));
    expect(codeOfApiError(() => ask({ expirationSeconds: 599 }))).toBe(422);
    expect(codeOfApiError(() => ask({ boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'p' } }))).toBe(400);
    expect(codeOfApiError(() => ask({ boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'nope' } }))).toBe(404);
  });
});
