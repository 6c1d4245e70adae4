import { describe, expect, it } from '@jest/globals';

import { PodRecords } from '../../../src/engine/records.ts';
import { created, exited, recordOf, running, sandboxOf } from './records-of.ts';

describe('the records of a pod', () => {
  it('never takes an instance backwards', () => {
    const records = new PodRecords();
    records.putContainer(recordOf('c', exited(0)));
    records.putContainer(recordOf('c', running));
    records.putContainer(recordOf('c', created));
    expect(records.latest('c')?.status.state).toBe('exited');
  });

  it('takes a later word on the same state', () => {
    const records = new PodRecords();
    records.putContainer(recordOf('c', exited(0)));
    records.putContainer(recordOf('c', exited(137)));
    expect(records.latest('c')?.status).toMatchObject({ exitCode: 137 });
  });

  it('puts instances of a container in order, newest first', () => {
    const records = new PodRecords();
    for (const attempt of [1, 0, 2]) records.putContainer(recordOf('c', exited(attempt), { attempt }));
    records.putContainer(recordOf('other', running));
    expect(records.instances('c').map((r) => r.attempt)).toEqual([2, 1, 0]);
    expect(records.latest('c')?.attempt).toBe(2);
  });

  it('tells two instances of one attempt by their age', () => {
    const records = new PodRecords();
    records.putContainer(recordOf('c', exited(0), { id: 'young', createdAt: 9 }));
    records.putContainer(recordOf('c', exited(0), { id: 'old', createdAt: 1 }));
    expect(records.latest('c')?.id).toBe('young');
  });

  it('shows the newest sandbox, whatever its state', () => {
    const records = new PodRecords();
    records.putSandbox(sandboxOf('notReady', 1));
    records.putSandbox(sandboxOf('ready', 0));
    expect(records.sandbox?.attempt).toBe(1);
  });

  it('names the sandboxes that were replaced and are empty', () => {
    const records = new PodRecords();
    for (const attempt of [0, 1, 2]) records.putSandbox(sandboxOf('notReady', attempt));
    records.putContainer(recordOf('c', exited(1), { sandboxID: 's0' }));
    expect(records.emptySandboxes().map((s) => s.id)).toEqual(['s1']);
  });

  it('counts what is created among what may run', () => {
    const records = new PodRecords();
    records.putContainer(recordOf('a', created));
    records.putContainer(recordOf('b', running));
    records.putContainer(recordOf('c', exited(0)));
    expect(records.running().map((r) => r.name)).toEqual(['a', 'b']);
  });

  it('is empty when all is removed', () => {
    const records = new PodRecords();
    records.putSandbox(sandboxOf());
    records.putContainer(recordOf('c', running));
    expect(records.isEmpty).toBe(false);
    records.removeContainer('c-0');
    records.removeSandbox('s0');
    expect(records.isEmpty).toBe(true);
  });
});
