import { describe, expect, it } from '@jest/globals';

import { exponentialBuckets, Registry } from '../../../src/metrics/registry.ts';

const samples = (registry: Registry) =>
  registry
    .render()
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));

describe('a counter', () => {
  it('has a series for each set of labels, in the order of their values', () => {
    const registry = new Registry();
    const requests = registry.counter({ name: 'requests_total', help: 'h', labels: ['method', 'code'] });
    requests.add({ method: 'POST', code: '201' });
    requests.add({ method: 'GET', code: '200' }, 2);
    requests.add({ method: 'GET', code: '200' });
    expect(samples(registry)).toEqual([
      'requests_total{code="200",method="GET"} 3',
      'requests_total{code="201",method="POST"} 1',
    ]);
  });

  it('without labels is there before anything was counted, and after it was cleared', () => {
    const registry = new Registry();
    const pods = registry.counter({ name: 'pods_total', help: 'h', stability: 'ALPHA' });
    expect(registry.render()).toBe('# HELP pods_total [ALPHA] h\n# TYPE pods_total counter\npods_total 0\n');
    pods.add({});
    registry.clear();
    expect(samples(registry)).toEqual(['pods_total 0']);
  });
});

describe('a gauge', () => {
  it('goes up and down', () => {
    const registry = new Registry();
    const open = registry.gauge({ name: 'open', help: 'h' });
    open.add({}, 2);
    open.add({}, -1);
    expect(samples(registry)).toEqual(['open 1']);
    open.set({}, 7);
    expect(samples(registry)).toEqual(['open 7']);
  });
});

describe('a histogram', () => {
  it('counts each value in every bucket that holds it', () => {
    const registry = new Registry();
    const took = registry.histogram({ name: 'took', help: 'h', labels: ['what'], buckets: [0.1, 1] });
    for (const seconds of [0.1, 0.5, 30]) took.observe({ what: 'x' }, seconds);
    expect(samples(registry)).toEqual([
      'took_bucket{what="x",le="0.1"} 1',
      'took_bucket{what="x",le="1"} 2',
      'took_bucket{what="x",le="+Inf"} 3',
      'took_sum{what="x"} 30.6',
      'took_count{what="x"} 3',
    ]);
  });

  it('can have bounds that grow', () => {
    expect(exponentialBuckets(0.005, 2, 3)).toEqual([0.005, 0.01, 0.02]);
  });
});

describe('a reading', () => {
  it('is asked at each scrape', () => {
    const registry = new Registry();
    let now = 1;
    registry.reading({ name: 'one', help: 'h', type: 'gauge' }, () => now);
    registry.reading({ name: 'some', help: 'h', type: 'gauge', labels: ['of'] }, () => [
      { labels: { of: 'a' }, value: now },
    ]);
    expect(samples(registry)).toEqual(['one 1', 'some{of="a"} 1']);
    now = 2;
    expect(samples(registry)).toEqual(['one 2', 'some{of="a"} 2']);
  });
});
