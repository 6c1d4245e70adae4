import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { codeOf } from '../../../src/core/errors.ts';
import { errorFromAnswer, httpStatusOf, retryAfterOf } from '../../../src/kube/api-error.ts';
import { JsonLines } from '../../../src/kube/json-lines.ts';
import { labelOf } from '../../../src/kube/request-label.ts';

describe('lines of JSON', () => {
  it('come out the same however they are cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.jsonValue({ maxDepth: 2 }), { maxLength: 8 }),
        fc.array(fc.nat(60), { maxLength: 12 }),
        (values, cuts) => {
          const bytes = Buffer.from(values.map((value) => `${JSON.stringify(value)}\n`).join(''));
          const lines = new JsonLines();
          const seen: unknown[] = [];
          let at = 0;
          for (const cut of [...cuts, bytes.length]) {
            seen.push(...lines.push(bytes.subarray(at, at + cut)));
            at += cut;
          }
          expect(seen).toEqual(values.map((value) => JSON.parse(JSON.stringify(value)) as unknown));
        },
      ),
    );
  });

  it('do not quote what is not JSON', () => {
    expect(() => [...new JsonLines().push(Buffer.from('secret\n'))]).toThrow(/^(?!.*secret).*not JSON$/);
  });
});

describe('an answer that is an error', () => {
  it.each([
    [400, 'InvalidInput'],
    [401, 'Forbidden'],
    [403, 'Forbidden'],
    [404, 'NotFound'],
    [405, 'Unsupported'],
    [409, 'Conflict'],
    [410, 'Unavailable'],
    [422, 'InvalidInput'],
    [429, 'Unavailable'],
    [500, 'Unavailable'],
    [503, 'Unavailable'],
    [504, 'Timeout'],
  ])('with status %d is %s', (status, code) => {
    expect(codeOf(errorFromAnswer('GET /x', status, '', undefined))).toBe(code);
  });

  it('says what the server says, and how long to wait, through wrapping', () => {
    const body = JSON.stringify({
      kind: 'Status',
      message: 'pods "p" is forbidden: User "u" cannot patch resource "pods/status"',
      reason: 'Forbidden',
      details: { retryAfterSeconds: 3 },
    });
    const error = errorFromAnswer('PATCH /x', 403, body, undefined);
    expect(error.message).toBe('PATCH /x: pods "p" is forbidden: User "u" cannot patch resource "pods/status"');
    const wrapped = new Error('context', { cause: error });
    expect([httpStatusOf(wrapped), retryAfterOf(wrapped)]).toEqual([403, 3000]);
    expect(retryAfterOf(errorFromAnswer('GET /x', 429, '', '7'))).toBe(7000);
  });

  it('is a Conflict when it is another object that has the name, though the server says Invalid', () => {
    const causes = [{ reason: 'FieldValueInvalid', field: 'metadata.uid', message: 'field is immutable' }];
    const body = JSON.stringify({ kind: 'Status', reason: 'Invalid', details: { causes } });
    expect(codeOf(errorFromAnswer('PATCH /x', 422, body, undefined))).toBe('Conflict');
  });

  it('does not repeat what a proxy says', () => {
    expect(errorFromAnswer('GET /x', 502, '<html>secret</html>', undefined).message).toBe('GET /x: HTTP status 502');
  });
});

describe('a request counts as', () => {
  it.each([
    ['GET', '/api/v1/pods', undefined, 'list pods'],
    ['GET', '/api/v1/pods', { watch: true }, 'watch pods'],
    ['PATCH', '/api/v1/namespaces/n/pods/p/status', undefined, 'patch pods/status'],
    ['GET', '/api/v1/namespaces/n', undefined, 'get namespaces'],
    ['DELETE', '/api/v1/namespaces/n/pods/p', undefined, 'delete pods'],
    ['POST', '/apis/authorization.k8s.io/v1/subjectaccessreviews', undefined, 'create subjectaccessreviews'],
    ['PUT', '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n', undefined, 'update leases'],
  ])('%s %s', (method, path, query, label) => {
    const { verb, resource } = labelOf(method, path, query);
    expect(`${verb} ${resource}`).toBe(label);
  });
});
