import { readFileSync } from 'node:fs';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { startDevCluster, type DevCluster } from '../../../src/devcluster/index.ts';
import { ask, type Answer } from './recorded/ask.ts';

const recorded = readFileSync(new URL('recorded/answers.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Answer);

/** Where code and reason must agree but the text is that of Go's decoders, or names media types that are not served. */
const otherWords = [
  'POST /api/v1/namespaces/default/pods garbage',
  'POST /api/v1/namespaces/default/pods []',
  'PATCH /api/v1/namespaces/default/pods/p1 garbage',
  'GET /api/v1/namespaces/default/pods?labelSelector=a%20in%20(b',
];
const otherCauses = [
  'PATCH /api/v1/namespaces/default/pods/p1?fieldValidation=Strict {"spec":{"foo":"y"}}',
  'PATCH /api/v1/namespaces/default/pods/q7 {"kind":"Node"}',
  'PATCH /api/v1/namespaces/default/pods/q7 {"apiVersion":"apps/v1"}',
];

describe('the development cluster answers as the real API server does', () => {
  let cluster: DevCluster;
  let answers: Answer[] = [];

  beforeAll(async () => {
    cluster = await startDevCluster({ scheduler: false });
    const { certPem, keyPem } = await cluster.clientCertificate('kubernetes-admin', ['system:masters']);
    answers = await ask(cluster.url, { ca: cluster.caPem, cert: certPem, key: keyPem });
  });
  afterAll(async () => {
    await cluster.stop();
  });

  it('to as many requests', () => {
    expect(answers.map((answer) => answer.request)).toEqual(recorded.map((answer) => answer.request));
  });

  it.each(recorded.map((answer, i) => [i, answer.request.slice(0, 160)] as const))('%i %s', (i) => {
    const answer = answers[i];
    const expected = recorded[i];
    expect(answer && comparable(answer)).toEqual(expected && comparable(expected));
  });
});

function comparable(answer: Answer): unknown {
  const { body } = answer;
  if (otherWords.includes(answer.request) || isMediaTypeRefusal(answer))
    return { ...answer, body: { ...(body as object), message: '' } };
  if (otherCauses.includes(answer.request))
    return { ...answer, body: { ...(body as object), message: '', details: {} } };
  // A bookmark is an object of the kind with nothing but a version; the real one shows its empty fields.
  if (answer.request.includes('sendInitialEvents=true&resourceVersionMatch')) {
    const { object, ...event } = body as { object: { metadata: unknown } };
    return { ...answer, body: { ...event, metadata: object.metadata } };
  }
  return answer;
}

function isMediaTypeRefusal({ code, request }: Answer): boolean {
  return code === 406 || (code === 415 && request.startsWith('POST'));
}
