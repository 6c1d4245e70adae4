import { describe, expect, it } from '@jest/globals';

import type { ApiRequest } from '../../../src/kube/api.ts';
import { missingPermissions, neededPermissions, permissionsSentence } from '../../../src/kube/permissions.ts';
import { FakeApi, refusal } from './fake-api.ts';

interface Attributes {
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  readonly subresource?: string;
  readonly namespace?: string;
  readonly name?: string;
}

const serviceAccount = { username: 'system:serviceaccount:a:b', groups: ['system:serviceaccounts'] };

/** An API server that lets its caller do what `allows` says. */
function apiFor(user: { username: string; groups: string[] }, allows: (asked: Attributes) => boolean): FakeApi {
  const api = new FakeApi();
  api.answer = (request) =>
    isAccessReview(request) ? { status: { allowed: allows(attributesOf(request)) } } : { status: { userInfo: user } };
  return api;
}

function isAccessReview({ path }: ApiRequest): boolean {
  return path === '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
}

function attributesOf({ body }: ApiRequest): Attributes {
  return (body as { spec: { resourceAttributes: Attributes } }).spec.resourceAttributes;
}

const asked = (api: FakeApi) => api.requests.filter(isAccessReview).map(attributesOf);

describe('what the credentials lack', () => {
  it('is nothing when the API server allows all of it', async () => {
    const api = apiFor(serviceAccount, () => true);
    expect(await missingPermissions(api, 'laptop')).toEqual([]);
    expect(asked(api)).toHaveLength(neededPermissions('laptop').length);
  });

  it('is each permission that is refused, in the order of need', async () => {
    const api = apiFor(serviceAccount, ({ verb, resource }) => verb !== 'watch' && resource !== 'tokenreviews');
    const missing = await missingPermissions(api, 'laptop');
    expect(missing.map(({ verb, resource }) => `${verb} ${resource}`)).toEqual([
      'watch nodes',
      'watch pods',
      'watch services',
      'create tokenreviews',
    ]);
  });

  it('is asked in the words of RBAC: subresource, name and namespace apart', async () => {
    const api = apiFor(serviceAccount, () => true);
    await missingPermissions(api, 'laptop');
    const questions = asked(api);
    expect(questions).toContainEqual({ verb: 'create', group: '', resource: 'nodes' });
    expect(questions).toContainEqual({ verb: 'patch', group: '', resource: 'nodes', name: 'laptop' });
    expect(questions).toContainEqual({
      verb: 'patch',
      group: '',
      resource: 'nodes',
      subresource: 'status',
      name: 'laptop',
    });
    expect(questions).toContainEqual({ verb: 'patch', group: '', resource: 'pods', subresource: 'status' });
    expect(questions).toContainEqual({
      verb: 'update',
      group: 'coordination.k8s.io',
      resource: 'leases',
      namespace: 'kube-node-lease',
      name: 'laptop',
    });
  });

  it('takes an answer without a verdict for a no', async () => {
    const api = apiFor(serviceAccount, () => true);
    const { answer } = api;
    api.answer = (request) => (isAccessReview(request) ? {} : answer(request));
    expect(await missingPermissions(api, 'laptop')).toEqual(neededPermissions('laptop'));
  });

  it('is not told when the API server does not answer', async () => {
    const api = new FakeApi();
    api.answer = () => {
      throw refusal(503);
    };
    await expect(missingPermissions(api, 'laptop')).rejects.toMatchObject({ code: 'Unavailable' });
  });
});

describe('the identity of a node', () => {
  const node = (name: string) => ({
    username: `system:node:${name}`,
    groups: ['system:nodes', 'system:authenticated'],
  });

  it('is not asked about: the Node authorizer answers for single objects only', async () => {
    const api = apiFor(node('laptop'), () => false);
    expect(await missingPermissions(api, 'laptop')).toEqual([]);
    expect(asked(api)).toEqual([]);
  });

  it('of another node is refused, and both are named', async () => {
    const asking = missingPermissions(
      apiFor(node('other'), () => true),
      'laptop',
    );
    await expect(asking).rejects.toMatchObject({
      code: 'Forbidden',
      message: expect.stringMatching(/system:node:other.* node laptop.*--node-name/),
    });
  });
});

describe('the message', () => {
  it('lists all that is missing, each with its object, its place and what fails without it', () => {
    const missing = neededPermissions('laptop').filter(
      ({ verb, resource }) => resource === 'leases' || (verb === 'patch' && resource.startsWith('pods')),
    );
    expect(permissionsSentence(missing).split('\n')).toEqual([
      'the credentials lack permissions that the node needs:',
      '  create leases.coordination.k8s.io in namespace kube-node-lease (to renew the lease of the node)',
      '  get leases.coordination.k8s.io "laptop" in namespace kube-node-lease (to renew the lease of the node)',
      '  update leases.coordination.k8s.io "laptop" in namespace kube-node-lease (to renew the lease of the node)',
      '  patch pods/status (to report the state of pods)',
    ]);
  });

  it('never asks for more than one object where the node has but one', () => {
    for (const { verb, resource, name } of neededPermissions('laptop'))
      if (/^(nodes|leases)/.test(resource) && verb !== 'create') expect(name).toBe('laptop');
  });
});
