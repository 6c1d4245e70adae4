import { describe, expect, it } from '@jest/globals';

import { metadataField, resourceField } from '../../../src/podspec/downward-api.ts';
import { goQuote } from '../../../src/podspec/go-quote.ts';
import { container, pod } from './fixtures.ts';

describe('metadataField', () => {
  const subject = pod(
    {},
    { labels: { z: '1', a: 'two "quoted"\n' }, annotations: { "odd['x']": 'y', 'k8s.io/x': 'tab\t' } },
  );

  it.each([
    ['metadata.name', 'web'],
    ['metadata.namespace', 'ns'],
    ['metadata.uid', 'uid-1'],
    ['metadata.labels', 'a="two \\"quoted\\"\\n"\nz="1"'],
    ['metadata.annotations', 'k8s.io/x="tab\\t"\nodd[\'x\']="y"'],
    ["metadata.labels['z']", '1'],
    ["metadata.labels['nope']", ''],
    ["metadata.labels['constructor']", ''],
    ["metadata.annotations['k8s.io/x']", 'tab\t'],
    ["metadata.annotations['odd['x']']", 'y'],
  ])('%s', (path, value) => {
    expect(metadataField(subject, path)).toBe(value);
  });

  it('is empty for a pod without labels', () => {
    expect(metadataField(pod(), 'metadata.labels')).toBe('');
  });

  it.each([
    ['spec.nodeName', 'unsupported fieldPath: spec.nodeName'],
    ["metadata.name['x']", 'fieldPath "metadata.name" does not support subscript'],
  ])('refuses %s', (path, message) => {
    expect(() => metadataField(pod(), path)).toThrow(expect.objectContaining({ code: 'InvalidInput', message }));
  });
});

describe('goQuote', () => {
  it.each([
    ['plain', '"plain"'],
    ['é世界🙂', '"é世界🙂"'],
    ['\u0000\u001b\u007f', '"\\x00\\x1b\\x7f"'],
    ['\u0007\b\f\r\v\\', '"\\a\\b\\f\\r\\v\\\\"'],
    ['\u00a0\u200b\ufeff', '"\\u00a0\\u200b\\ufeff"'],
    ['\u{e0001}', '"\\U000e0001"'],
  ])('%j', (text, quoted) => {
    expect(goQuote(text)).toBe(quoted);
  });
});

describe('resourceField', () => {
  const allocatable = { cpu: '3900m', memory: '8Gi', 'ephemeral-storage': '100Gi' };
  const subject = container({
    resources: {
      limits: { cpu: '1250m', memory: '64Mi', 'hugepages-2Mi': '4Mi' },
      requests: { cpu: '250m', memory: '32Mi' },
    },
  });

  it.each([
    ['limits.cpu', undefined, '2'],
    ['limits.cpu', '1', '2'],
    ['limits.cpu', '0', '2'],
    ['limits.cpu', '1m', '1250'],
    ['requests.cpu', '1m', '250'],
    ['requests.cpu', '1', '1'],
    ['limits.memory', '1', '67108864'],
    ['limits.memory', '1Mi', '64'],
    ['limits.memory', '1Gi', '1'],
    ['requests.memory', '1M', '34'],
    ['limits.ephemeral-storage', '1Gi', '100'],
    ['requests.ephemeral-storage', '1', '0'],
    ['limits.hugepages-2Mi', '1Mi', '4'],
    ['requests.hugepages-2Mi', '1Mi', '0'],
  ])('%s in units of %s', (resource, divisor, value) => {
    expect(
      resourceField(pod(), subject, { resource, ...(divisor === undefined ? {} : { divisor }) }, allocatable),
    ).toBe(value);
  });

  it('shows the allocatable where a container has no limit, and 0 where it has no request', () => {
    const bare = container();
    const value = (resource: string) => resourceField(pod(), bare, { resource }, allocatable);
    expect([value('limits.cpu'), value('limits.memory'), value('requests.cpu')]).toEqual(['4', '8589934592', '0']);
  });

  it("shows the pod's limit before the allocatable", () => {
    const whole = pod({ resources: { limits: { cpu: '2' } } });
    expect(resourceField(whole, container(), { resource: 'limits.cpu' }, allocatable)).toBe('2');
    expect(resourceField(whole, container(), { resource: 'limits.memory', divisor: '1Gi' }, allocatable)).toBe('8');
  });

  it.each(['cpu', 'limits.', 'limits.nvidia.com/gpu', 'requests.pods'])('refuses %s', (resource) => {
    expect(() => resourceField(pod(), subject, { resource }, allocatable)).toThrow(
      expect.objectContaining({ code: 'InvalidInput', message: `unsupported container resource : ${resource}` }),
    );
  });
});
