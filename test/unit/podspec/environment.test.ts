import { describe, expect, it } from '@jest/globals';

import { codeOf, unavailable } from '../../../src/core/errors.ts';
import type { EnvFromSource, EnvVar } from '../../../src/core/objects.ts';
import { isContainerWaiting } from '../../../src/podspec/container-waiting.ts';
import { containerEnvironment } from '../../../src/podspec/environment.ts';
import { base64, container, pod, service, sources, type Objects } from './fixtures.ts';

interface Case {
  env?: EnvVar[];
  envFrom?: EnvFromSource[];
  objects?: Objects;
  podIPs?: string[];
}

const objects: Objects = {
  configMaps: { cm: { data: { k: 'v', A: 'from-cm' }, binaryData: { b: base64('x') } } },
  secrets: { s: { data: { k: base64('sécret'), A: base64('from-secret') } } },
};

async function environment({ env = [], envFrom = [], podIPs = ['10.1.0.7', 'fd01::7'], ...rest }: Case) {
  const subject = container({ env, envFrom, resources: { limits: { cpu: '500m' }, requests: { memory: '1Gi' } } });
  const made = pod(
    { containers: [subject], enableServiceLinks: false },
    { labels: { l: 'x' }, annotations: { a: 'y' } },
  );
  return containerEnvironment({ pod: made, container: subject, podIPs }, sources(rest.objects ?? objects));
}

const field = (name: string, fieldPath: string): EnvVar => ({ name, valueFrom: { fieldRef: { fieldPath } } });

describe('containerEnvironment', () => {
  it('is what the recorded pod printed', async () => {
    const env = await environment({
      env: [
        { name: 'A', value: 'x' },
        { name: 'B', value: '$(A)y$$(A)' },
        field('POD_IP', 'status.podIP'),
        field('NODE', 'spec.nodeName'),
      ],
      podIPs: ['10.244.2.75'],
    });
    expect([env['A'], env['B'], env['POD_IP'], env['NODE']].join('-')).toBe('x-xy$(A)-10.244.2.75-node-1');
  });

  it.each<[string, Case, Record<string, string>]>([
    ['keeps an empty value', { env: [{ name: 'A' }, { name: 'B', value: '' }] }, { A: '', B: '' }],
    [
      'lets a later variable see an earlier one',
      {
        env: [
          { name: 'A', value: '1' },
          { name: 'B', value: '$(A)2' },
        ],
      },
      { A: '1', B: '12' },
    ],
    [
      'never sees what comes after',
      {
        env: [
          { name: 'B', value: '$(A)' },
          { name: 'A', value: '1' },
        ],
      },
      { A: '1', B: '$(A)' },
    ],
    [
      'takes the last of one name',
      {
        env: [
          { name: 'A', value: '1' },
          { name: 'A', value: '$(A)2' },
        ],
      },
      { A: '12' },
    ],
    [
      'reads a ConfigMap key',
      { env: [{ name: 'A', valueFrom: { configMapKeyRef: { name: 'cm', key: 'k' } } }] },
      { A: 'v' },
    ],
    [
      'reads a Secret key',
      { env: [{ name: 'A', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } }] },
      { A: 'sécret' },
    ],
    [
      'omits an optional key',
      { env: [{ name: 'A', valueFrom: { configMapKeyRef: { name: 'cm', key: 'no', optional: true } } }] },
      {},
    ],
    [
      'omits an optional object',
      { env: [{ name: 'A', valueFrom: { secretKeyRef: { name: 'no', key: 'k', optional: true } } }] },
      {},
    ],
    [
      'does not read binary data',
      { env: [{ name: 'A', valueFrom: { configMapKeyRef: { name: 'cm', key: 'b', optional: true } } }] },
      {},
    ],
    ['imports a ConfigMap', { envFrom: [{ configMapRef: { name: 'cm' } }] }, { k: 'v', A: 'from-cm' }],
    [
      'imports with a prefix',
      { envFrom: [{ prefix: 'P_', secretRef: { name: 's' } }] },
      { P_k: 'sécret', P_A: 'from-secret' },
    ],
    [
      'imports in order',
      { envFrom: [{ secretRef: { name: 's' } }, { configMapRef: { name: 'cm' } }] },
      { k: 'v', A: 'from-cm' },
    ],
    [
      'lets env override envFrom',
      { envFrom: [{ configMapRef: { name: 'cm' } }], env: [{ name: 'A', value: '$(A)!' }] },
      { k: 'v', A: 'from-cm!' },
    ],
    [
      'skips optional imports',
      { envFrom: [{ configMapRef: { name: 'no', optional: true } }, { secretRef: { name: 'no', optional: true } }] },
      {},
    ],
    [
      'does not expand what it refers to',
      {
        objects: { configMaps: { cm: { data: { k: '$(A)' } } } },
        env: [
          { name: 'A', value: '1' },
          { name: 'B', valueFrom: { configMapKeyRef: { name: 'cm', key: 'k' } } },
          { name: 'C', value: '$(B)' },
        ],
      },
      { A: '1', B: '$(A)', C: '$(A)' },
    ],
    ['prefers a value to a source', { env: [{ ...field('A', 'metadata.name'), value: 'v' }] }, { A: 'v' }],
    [
      'knows the pod',
      {
        env: [
          field('NAME', 'metadata.name'),
          field('NS', 'metadata.namespace'),
          field('UID', 'metadata.uid'),
          field('LABEL', "metadata.labels['l']"),
          field('NOLABEL', "metadata.labels['no']"),
          field('ANN', "metadata.annotations['a']"),
          field('SA', 'spec.serviceAccountName'),
          field('HOST', 'status.hostIP'),
          field('HOSTS', 'status.hostIPs'),
          field('IP', 'status.podIP'),
          field('IPS', 'status.podIPs'),
        ],
      },
      {
        NAME: 'web',
        NS: 'ns',
        UID: 'uid-1',
        LABEL: 'x',
        NOLABEL: '',
        ANN: 'y',
        SA: 'sa',
        HOST: '10.0.0.1',
        HOSTS: '10.0.0.1,fd00::1',
        IP: '10.1.0.7',
        IPS: '10.1.0.7,fd01::7',
      },
    ],
    [
      'survives a name of the language',
      {
        env: [
          { name: '__proto__', value: 'x' },
          { name: 'Y', value: '$(toString)' },
        ],
      },
      JSON.parse('{"__proto__":"x","Y":"$(toString)"}'),
    ],
  ])('%s', async (_, given, expected) => {
    expect(await environment(given)).toEqual(expected);
  });

  it.each<[string, Case, string]>([
    [
      'a ConfigMap',
      { env: [{ name: 'A', valueFrom: { configMapKeyRef: { name: 'nope', key: 'k' } } }] },
      'configmap "nope" not found',
    ],
    ['a Secret', { envFrom: [{ secretRef: { name: 'nope' } }] }, 'secret "nope" not found'],
    [
      'a ConfigMap key',
      { env: [{ name: 'A', valueFrom: { configMapKeyRef: { name: 'cm', key: 'nokey' } } }] },
      "couldn't find key nokey in ConfigMap ns/cm",
    ],
    [
      'a Secret key',
      { env: [{ name: 'A', valueFrom: { secretKeyRef: { name: 's', key: 'nokey' } } }] },
      "couldn't find key nokey in Secret ns/s",
    ],
    ['a field that there is not', { env: [field('A', 'status.phase')] }, 'unsupported fieldPath: status.phase'],
    [
      'an env file',
      { env: [{ name: 'A', valueFrom: { fileKeyRef: { key: 'k', path: 'p', volumeName: 'v' } } }] },
      'environment variable A: fileKeyRef is not supported by this node; use configMapKeyRef or secretKeyRef',
    ],
    [
      'what cannot be read now',
      {
        objects: { unavailable: unavailable('the API server does not answer') },
        envFrom: [{ configMapRef: { name: 'cm', optional: true } }],
      },
      'the API server does not answer',
    ],
  ])('waits for %s', async (_, given, message) => {
    const failure = await environment(given).catch((err: unknown) => err);
    expect(failure).toMatchObject({ waitingReason: 'CreateContainerConfigError', message });
    expect(isContainerWaiting(failure)).toBe(true);
  });

  it('keeps the code of the cause', async () => {
    const failure = await environment({ envFrom: [{ secretRef: { name: 'nope' } }] }).catch((err: unknown) => err);
    expect(codeOf(failure)).toBe('NotFound');
  });

  it('puts service variables under everything, where values can refer to them', async () => {
    const subject = container({
      env: [
        { name: 'URL', value: 'https://$(KUBERNETES_SERVICE_HOST)' },
        { name: 'KUBERNETES_PORT', value: 'mine' },
      ],
    });
    const made = pod({ containers: [subject] });
    const services = [
      service('kubernetes', 'default', '10.96.0.1', [['https', 443]]),
      service('db', 'ns', '10.96.0.2', [[undefined, 5432]]),
    ];
    const env = await containerEnvironment({ pod: made, container: subject, podIPs: [] }, sources({ services }));
    expect(env).toMatchObject({
      URL: 'https://10.96.0.1',
      KUBERNETES_PORT: 'mine',
      KUBERNETES_SERVICE_PORT_HTTPS: '443',
      DB_SERVICE_HOST: '10.96.0.2',
    });
  });
});
