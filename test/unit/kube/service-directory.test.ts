import { describe, expect, it } from '@jest/globals';

import { ServiceDirectory } from '../../../src/kube/service-directory.ts';
import { FakeApi, refusal } from './fake-api.ts';
import { ManualClock, settle } from './manual-clock.ts';
import { RecordingLogger } from './recording-logger.ts';

const service = (name: string, uid: string, resourceVersion: string) => ({
  metadata: { name, namespace: 'ns', uid, resourceVersion, annotations: { long: 'text' } },
  spec: {
    type: 'ClusterIP',
    clusterIP: '10.1.0.1',
    clusterIPs: ['10.1.0.1'],
    selector: { app: 'x' },
    ports: [{ name: 'http', port: 80, targetPort: 8080, protocol: 'TCP' }],
  },
});

describe('the service directory', () => {
  it('keeps what environments need, follows changes, and is synced after the first listing', async () => {
    const api = new FakeApi();
    api.answer = () => ({
      kind: 'ServiceList',
      metadata: { resourceVersion: '5' },
      items: [service('web', 'u1', '1')],
    });
    const stop = new AbortController();
    const clock = new ManualClock();
    const services = new ServiceDirectory(api);
    const running = services.run({ clock, log: new RecordingLogger(), signal: stop.signal });
    await services.synced;
    expect(services.list('ns')).toEqual([
      {
        metadata: { name: 'web', namespace: 'ns', uid: 'u1' },
        spec: {
          type: 'ClusterIP',
          clusterIP: '10.1.0.1',
          clusterIPs: ['10.1.0.1'],
          ports: [{ name: 'http', port: 80, protocol: 'TCP' }],
        },
      },
    ]);
    expect(services.list('other')).toEqual([]);
    await settle();
    api.lastWatch.send('ADDED', service('db', 'u2', '6'));
    api.lastWatch.send('DELETED', service('web', 'u1', '7'));
    await settle();
    expect(services.list('ns').map(({ metadata }) => metadata?.name)).toEqual(['db']);
    stop.abort();
    await running;
  });

  it('does not lose a service whose name was taken over while nobody watched', async () => {
    const api = new FakeApi();
    const answers = [[service('web', 'old', '1')], [service('web', 'new', '9')]];
    api.answer = () => ({ kind: 'ServiceList', metadata: { resourceVersion: '5' }, items: answers.shift() });
    const stop = new AbortController();
    const clock = new ManualClock();
    const services = new ServiceDirectory(api);
    const running = services.run({ clock, log: new RecordingLogger(), signal: stop.signal });
    await settle();
    api.lastWatch.fail(refusal(410));
    await clock.advance(5000);
    expect(services.get('ns', 'web')?.metadata?.uid).toBe('new');
    stop.abort();
    await running;
  });
});
