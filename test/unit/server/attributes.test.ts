import { describe, expect, it } from '@jest/globals';

import { attributesOf } from '../../../src/server/auth/attributes.ts';

/** Method, path, verb, subresources in the order they are tried. */
const table: readonly [method: string, path: string, verb: string, subresources: readonly string[]][] = [
  ['GET', '/healthz', 'get', ['healthz', 'proxy']],
  ['POST', '/healthz/syncloop', 'create', ['healthz', 'proxy']],
  ['GET', '/pods', 'get', ['pods', 'proxy']],
  ['GET', '/pods/', 'get', ['pods', 'proxy']],
  ['GET', '/runningpods/', 'get', ['pods', 'proxy']],
  ['GET', '/configz', 'get', ['configz', 'proxy']],
  ['GET', '/flagz', 'get', ['configz']],
  ['GET', '/statusz', 'get', ['statusz']],
  ['GET', '/metrics', 'get', ['metrics']],
  ['GET', '/metrics/resource', 'get', ['metrics']],
  ['GET', '/stats/summary', 'get', ['stats']],
  ['POST', '/stats/summary', 'create', ['stats']],
  ['GET', '/logs/', 'get', ['log']],
  ['POST', '/checkpoint/ns/p/c', 'create', ['checkpoint']],
  ['GET', '/containerLogs/ns/p/c', 'get', ['proxy']],
  ['HEAD', '/containerLogs/ns/p/c', '', ['proxy']],
  ['POST', '/exec/ns/p/c', 'create', ['proxy']],
  ['POST', '/attach/ns/p/c', 'create', ['proxy']],
  ['POST', '/portForward/ns/p', 'create', ['proxy']],
  ['POST', '/run/ns/p/c', 'create', ['proxy']],
  ['PUT', '/debug/flags/v', 'update', ['proxy']],
  ['PATCH', '/containerLogs/ns/p/c', 'patch', ['proxy']],
  ['DELETE', '/containerLogs/ns/p/c', 'delete', ['proxy']],
  ['OPTIONS', '/pods', '', ['pods', 'proxy']],
  // Only whole segments count.
  ['GET', '/podsx', 'get', ['proxy']],
  ['GET', '/metricsx/pods', 'get', ['proxy']],
];

describe('attributes of a request', () => {
  it.each(table)('%s %s', (method, path, verb, subresources) => {
    expect(attributesOf(method, path, 'node-1')).toEqual(
      subresources.map((subresource) => ({ verb, resource: 'nodes', subresource, name: 'node-1' })),
    );
  });

  it.each(['/exec/ns/p/c', '/attach/ns/p/c', '/portForward/ns/p', '/run/ns/p/c'])(
    'a GET of %s acts inside a pod, so that the right to read is not enough',
    (path) => {
      expect(attributesOf('GET', path, 'node-1')[0].verb).toBe('create');
    },
  );
});
