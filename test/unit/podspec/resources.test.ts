import { describe, expect, it } from '@jest/globals';

import type { Container, PodSpec, ResourceRequirements } from '../../../src/core/objects.ts';
import { computeQosClass, qosClass } from '../../../src/podspec/qos.ts';
import { podLimits, podRequests, type ResourceList } from '../../../src/podspec/resources.ts';
import { container, pod } from './fixtures.ts';

const asking = (cpu: string, memory?: string): Container =>
  container({ resources: { requests: { cpu, ...(memory === undefined ? {} : { memory }) } } });
const sidecar = (cpu: string): Container => ({ ...asking(cpu), restartPolicy: 'Always' });
const shown = (list: ResourceList) =>
  Object.fromEntries([...list].map(([name, quantity]) => [name, quantity.toString()]));

describe('podRequests', () => {
  it.each<[string, Partial<PodSpec>, Record<string, string>]>([
    ['nothing', { containers: [container()] }, {}],
    ['the sum of containers', { containers: [asking('100m', '1Gi'), asking('200m')] }, { cpu: '300m', memory: '1Gi' }],
    [
      'a larger init container',
      { containers: [asking('1')], initContainers: [asking('3'), asking('2')] },
      { cpu: '3' },
    ],
    [
      'a smaller init container',
      { containers: [asking('1')], initContainers: [asking('500m', '2Gi')] },
      { cpu: '1', memory: '2Gi' },
    ],
    ['sidecars beside containers', { containers: [asking('1')], initContainers: [sidecar('500m')] }, { cpu: '1500m' }],
    [
      'an init container after a sidecar',
      { containers: [asking('1')], initContainers: [sidecar('1'), asking('2')] },
      { cpu: '3' },
    ],
    [
      'an init container before a sidecar',
      { containers: [asking('1')], initContainers: [asking('2'), sidecar('1')] },
      { cpu: '2' },
    ],
    [
      'overhead',
      { containers: [asking('1')], overhead: { cpu: '250m', memory: '64Mi' } },
      { cpu: '1250m', memory: '64Mi' },
    ],
    [
      'pod-level requests, where the resource may have them',
      {
        containers: [asking('1', '1Gi')],
        resources: { requests: { cpu: '5', 'nvidia.com/gpu': '1' } },
        overhead: { cpu: '1' },
      },
      { cpu: '6', memory: '1Gi' },
    ],
  ])('counts %s', (_, spec, expected) => {
    expect(shown(podRequests(pod(spec).spec))).toEqual(expected);
  });
});

describe('podLimits', () => {
  const limiting = (limits: Record<string, string>) => container({ resources: { limits } });

  it('adds overhead to the limits that there are', () => {
    const spec = {
      containers: [limiting({ cpu: '1' }), limiting({ cpu: '1' }), container()],
      overhead: { cpu: '500m', memory: '64Mi' },
    };
    expect(shown(podLimits(pod(spec).spec))).toEqual({ cpu: '2500m' });
  });
});

describe('computeQosClass', () => {
  const both = (cpu: string, memory: string): ResourceRequirements => ({
    requests: { cpu, memory },
    limits: { cpu, memory },
  });

  it.each<[string, Partial<PodSpec>, string]>([
    ['no container says anything', { containers: [container()] }, 'BestEffort'],
    ['what is said is zero', { containers: [container({ resources: { requests: { cpu: '0' } } })] }, 'BestEffort'],
    [
      'only other resources are named',
      { containers: [container({ resources: { limits: { 'example.com/x': '1' } } })] },
      'BestEffort',
    ],
    ['limits equal requests', { containers: [container({ resources: both('1', '1Gi') })] }, 'Guaranteed'],
    [
      'they are equal in other words',
      {
        containers: [
          container({
            resources: { requests: { cpu: '1000m', memory: '1Gi' }, limits: { cpu: '1', memory: '1024Mi' } },
          }),
        ],
      },
      'Guaranteed',
    ],
    [
      'requests are lower',
      {
        containers: [
          container({ resources: { requests: { cpu: '1', memory: '1Gi' }, limits: { cpu: '2', memory: '1Gi' } } }),
        ],
      },
      'Burstable',
    ],
    [
      'memory is not limited',
      { containers: [container({ resources: { requests: { cpu: '1' }, limits: { cpu: '1' } } })] },
      'Burstable',
    ],
    [
      'one container says nothing',
      { containers: [container({ resources: both('1', '1Gi') }), container()] },
      'Burstable',
    ],
    [
      'an init container says nothing',
      { containers: [container({ resources: both('1', '1Gi') })], initContainers: [container()] },
      'Burstable',
    ],
    ['the pod as a whole is limited', { containers: [container()], resources: both('1', '1Gi') }, 'Guaranteed'],
    [
      'the pod as a whole only requests',
      { containers: [container()], resources: { requests: { cpu: '1' } } },
      'Burstable',
    ],
  ])('when %s', (_, spec, expected) => {
    expect(computeQosClass(pod(spec).spec)).toBe(expected);
  });

  it('is what the API server said', () => {
    expect(qosClass({ ...pod(), status: { qosClass: 'Guaranteed' } })).toBe('Guaranteed');
    expect(qosClass(pod())).toBe('BestEffort');
  });
});
