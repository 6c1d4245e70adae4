import { describe, expect, it } from '@jest/globals';

import type { KubeNode, Pod, PodSpec } from '../../../src/core/objects.ts';
import { admit } from '../../../src/pods/admission.ts';
import { matchesNode } from '../../../src/pods/node-affinity.ts';
import { NodeUsage } from '../../../src/pods/usage.ts';
import { testPod } from '../../../src/testing/index.ts';

const node: KubeNode = {
  metadata: { name: 'n1', labels: { 'kubernetes.io/os': 'linux', disk: 'ssd', cores: '8' } },
  spec: { taints: [{ key: 'virtual-kubelet.io/provider', value: 'process', effect: 'NoSchedule' }] },
  status: { allocatable: { cpu: '4', memory: '1Gi', pods: '3', 'example.com/gpu': '2' } },
};

const asking = (requests: Record<string, string>, spec: Partial<PodSpec> = {}): Pod =>
  testPod({ containers: [{ name: 'c', image: 'i', resources: { requests } }], ...spec });

const listeningOn = (...ports: readonly { hostPort: number; hostIP?: string; protocol?: string }[]): Pod =>
  testPod({ containers: [{ name: 'c', image: 'i', ports: ports.map((p) => ({ containerPort: 80, ...p })) }] });

const usageOf = (...pods: readonly Pod[]): NodeUsage => {
  const usage = new NodeUsage();
  for (const pod of pods) usage.add(pod);
  return usage;
};

const verdict = (pod: Pod, usage = usageOf(), on = node) => {
  const rejection = admit({ pod, node: on, usage });
  return rejection === undefined ? 'taken' : `${rejection.reason}: ${rejection.message}`;
};

describe('the admission of a pod', () => {
  it('takes what fits', () => {
    expect(verdict(asking({ cpu: '4', memory: '1Gi', 'example.com/gpu': '2' }))).toBe('taken');
  });

  it.each([
    [{ cpu: '4500m' }, "OutOfcpu: Node didn't have enough resource: cpu, requested: 4500, used: 0, capacity: 4000"],
    [
      { memory: '2Gi' },
      "OutOfmemory: Node didn't have enough resource: memory, requested: 2147483648, used: 0, capacity: 1073741824",
    ],
    [
      { 'example.com/gpu': '3' },
      "OutOfexample.com/gpu: Node didn't have enough resource: example.com/gpu, requested: 3, used: 0, capacity: 2",
    ],
  ])('refuses %j', (requests, expected) => {
    expect(verdict(asking(requests))).toBe(expected);
  });

  it('counts what the pods of the node ask for', () => {
    const usage = usageOf(asking({ cpu: '1' }), asking({ cpu: '500m' }));
    expect(verdict(asking({ cpu: '2500m' }), usage)).toBe('taken');
    expect(verdict(asking({ cpu: '2501m' }), usage)).toBe(
      "OutOfcpu: Node didn't have enough resource: cpu, requested: 2501, used: 1500, capacity: 4000",
    );
  });

  it('refuses one pod more than the node takes', () => {
    const usage = usageOf(asking({}), asking({}), asking({}));
    expect(verdict(asking({}), usage)).toBe(
      "OutOfpods: Node didn't have enough resource: pods, requested: 1, used: 3, capacity: 3",
    );
  });

  it('leaves alone what the node does not count, and what asks for nothing', () => {
    expect(verdict(asking({ 'example.com/other': '5', cpu: '0' }), usageOf(asking({ cpu: '4' })))).toBe('taken');
  });

  it.each<[Partial<PodSpec>, string]>([
    [{ os: { name: 'windows' } }, "PodOSNotSupported: Failed to admit pod as the OS field doesn't match node OS"],
    [
      { nodeSelector: { 'kubernetes.io/os': 'windows' } },
      "PodOSSelectorNodeLabelDoesNotMatch: Failed to admit pod as the `kubernetes.io/os` label doesn't match node label",
    ],
    [
      { nodeSelector: { disk: 'hdd' } },
      "NodeAffinity: Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
    ],
    [{ os: { name: 'linux' }, nodeSelector: { disk: 'ssd' } }, 'taken'],
  ])('looks at %j', (spec, expected) => {
    expect(verdict(testPod(spec))).toBe(expected);
  });

  it('looks at resources before it looks at the node', () => {
    expect(verdict(asking({ cpu: '5' }, { nodeSelector: { disk: 'hdd' } }))).toMatch(/^OutOfcpu/);
  });

  describe('of host ports', () => {
    const taken = "NodePorts: Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports";

    it.each([
      ['the same port', [{ hostPort: 80 }], taken],
      ['another port', [{ hostPort: 81 }], 'taken'],
      ['the same number of another protocol', [{ hostPort: 80, protocol: 'UDP' }], 'taken'],
      ['an address where another holds all', [{ hostPort: 80, hostIP: '192.0.2.1' }], taken],
      ['a free one and a held one', [{ hostPort: 81 }, { hostPort: 80 }], taken],
    ])('beside one that has it on every address: %s', (_what, ports, expected) => {
      expect(verdict(listeningOn(...ports), usageOf(listeningOn({ hostPort: 80 })))).toBe(expected);
    });

    it('tells addresses apart, but not from all of them', () => {
      const usage = usageOf(listeningOn({ hostPort: 80, hostIP: '192.0.2.1' }));
      expect(verdict(listeningOn({ hostPort: 80, hostIP: '192.0.2.2' }), usage)).toBe('taken');
      expect(verdict(listeningOn({ hostPort: 80, hostIP: '0.0.0.0' }), usage)).toBe(taken);
    });

    it('counts those of sidecars, not those of init containers', () => {
      const withInit = (restartPolicy?: string) =>
        testPod({
          initContainers: [
            { name: 'i', ports: [{ containerPort: 80, hostPort: 80 }], ...(restartPolicy && { restartPolicy }) },
          ],
        });
      expect(verdict(listeningOn({ hostPort: 80 }), usageOf(withInit()))).toBe('taken');
      expect(verdict(listeningOn({ hostPort: 80 }), usageOf(withInit('Always')))).toBe(taken);
    });
  });

  describe('of taints', () => {
    const tainted: KubeNode = { ...node, spec: { taints: [{ key: 'k', value: 'v', effect: 'NoExecute' }] } };
    const refused =
      "TaintToleration: Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate";

    it('leaves NoSchedule to the scheduler', () => {
      expect(verdict(testPod())).toBe('taken');
    });

    it.each([
      [[], refused],
      [[{ operator: 'Exists' }], 'taken'],
      [[{ key: 'k', operator: 'Exists' }], 'taken'],
      [[{ key: 'k', operator: 'Equal', value: 'v', effect: 'NoExecute' }], 'taken'],
      [[{ key: 'k', value: 'v' }], 'taken'],
      [[{ key: 'k', value: 'other' }], refused],
      [[{ key: 'k', operator: 'Exists', effect: 'NoSchedule' }], refused],
      [[{ key: 'other', operator: 'Exists' }], refused],
    ])('with the tolerations %j: %s', (tolerations, expected) => {
      expect(verdict(testPod({ tolerations }), usageOf(), tainted)).toBe(expected);
    });
  });
});

describe('what the pods of a node take up', () => {
  const a = asking({ cpu: '1', memory: '10' });

  it('is nothing when they are gone', () => {
    const pod = listeningOn({ hostPort: 80 });
    const usage = usageOf(a, pod);
    usage.remove(a.metadata.uid);
    usage.remove(pod.metadata.uid);
    usage.remove('unknown');
    expect([usage.pods, usage.used('cpu'), usage.used('memory')]).toEqual([0, 0n, 0n]);
    expect(usage.holds({ ip: '0.0.0.0', protocol: 'TCP', port: 80 })).toBe(false);
  });

  it('counts a pod once, as it was said last', () => {
    const usage = usageOf(a, { ...a, spec: asking({ cpu: '3' }).spec });
    expect([usage.pods, usage.used('cpu'), usage.used('memory')]).toEqual([1, 3000n, 0n]);
  });

  it('frees only the port of the pod that went', () => {
    const one = listeningOn({ hostPort: 80, hostIP: '192.0.2.1' });
    const usage = usageOf(one, listeningOn({ hostPort: 80, hostIP: '192.0.2.2' }));
    usage.remove(one.metadata.uid);
    expect(usage.holds({ ip: '192.0.2.1', protocol: 'TCP', port: 80 })).toBe(false);
    expect(usage.holds({ ip: '192.0.2.2', protocol: 'TCP', port: 80 })).toBe(true);
  });
});

describe('the node that a pod asks for', () => {
  const selects = (...nodeSelectorTerms: object[]) =>
    matchesNode(
      testPod({
        affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } } },
      }),
      node,
    );
  const by = (key: string, operator: string, ...values: string[]) => ({
    matchExpressions: [{ key, operator, values }],
  });

  it.each([
    [by('disk', 'In', 'hdd', 'ssd'), true],
    [by('disk', 'In', 'hdd'), false],
    [by('none', 'In', 'x'), false],
    [by('disk', 'NotIn', 'hdd'), true],
    [by('disk', 'NotIn', 'ssd'), false],
    [by('none', 'NotIn', 'x'), true],
    [by('disk', 'Exists'), true],
    [by('none', 'Exists'), false],
    [by('none', 'DoesNotExist'), true],
    [by('disk', 'DoesNotExist'), false],
    [by('cores', 'Gt', '7'), true],
    [by('cores', 'Gt', '8'), false],
    [by('cores', 'Lt', '9'), true],
    [by('disk', 'Gt', '1'), false],
    [by('cores', 'Lt', 'many'), false],
    [by('cores', 'Like', '8'), false],
    [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['n1'] }] }, true],
    [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['n2'] }] }, false],
    [{ ...by('disk', 'Exists'), matchFields: [{ key: 'metadata.name', operator: 'In', values: ['n2'] }] }, false],
    [{}, false],
  ])('by %j: %s', (term, expected) => {
    expect(selects(term)).toBe(expected);
  });

  it('is any that one of several terms selects, and none when there is no term', () => {
    expect(selects(by('disk', 'In', 'hdd'), by('disk', 'Exists'))).toBe(true);
    expect(selects()).toBe(false);
  });

  it('must also have every label of the node selector', () => {
    expect(matchesNode(testPod({ nodeSelector: { disk: 'ssd', cores: '8' } }), node)).toBe(true);
    expect(matchesNode(testPod({ nodeSelector: { disk: 'ssd', cores: '9' } }), node)).toBe(false);
  });
});
