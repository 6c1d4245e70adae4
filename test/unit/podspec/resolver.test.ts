import { describe, expect, it } from '@jest/globals';

import type { Pod } from '../../../src/core/objects.ts';
import { createPodResolver } from '../../../src/podspec/resolver.ts';
import { container, pod, sources } from './fixtures.ts';

describe('createPodResolver', () => {
  const subject = pod({
    initContainers: [
      container({
        name: 'init',
        args: ['$(LABEL)'],
        env: [{ name: 'LABEL', valueFrom: { fieldRef: { fieldPath: "metadata.labels['l']" } } }],
      }),
    ],
    containers: [
      container({
        name: 'c',
        command: ['run', '$(IP)'],
        workingDir: '/w',
        env: [{ name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } }],
      }),
    ],
    ephemeralContainers: [{ name: 'debug', image: 'i' }],
    volumes: [{ name: 'v', downwardAPI: { items: [{ path: 'l', fieldRef: { fieldPath: "metadata.labels['l']" } }] } }],
  });

  it('makes a container concrete with the addresses of the moment', async () => {
    const resolver = createPodResolver(() => subject, sources());
    expect(await resolver.container('c', ['10.1.0.7'])).toEqual({
      env: { IP: '10.1.0.7' },
      command: ['run', '10.1.0.7'],
      args: [],
      workingDir: '/w',
    });
    expect(await resolver.container('debug', [])).toEqual({ env: {}, command: [], args: [] });
  });

  it('sees what the pod is now', async () => {
    let current: Pod = subject;
    const resolver = createPodResolver(() => current, sources());
    const label = async () => Buffer.from((await resolver.volume('v', [])).files[0]?.data ?? []).toString();
    expect([await label(), (await resolver.container('init', [])).args]).toEqual(['', ['']]);
    current = { ...subject, metadata: { ...subject.metadata, labels: { l: 'new' } } };
    expect([await label(), (await resolver.container('init', [])).args]).toEqual(['new', ['new']]);
  });

  it('says as a waiting reason that there is no such container', async () => {
    await expect(createPodResolver(() => subject, sources()).container('nope', [])).rejects.toMatchObject({
      waitingReason: 'CreateContainerConfigError',
      message: 'container nope not found',
    });
  });
});
