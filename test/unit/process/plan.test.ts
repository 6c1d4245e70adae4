import { describe, expect, it } from '@jest/globals';

import type { ContainerConfig } from '../../../src/providers/contract.ts';
import { Changes } from '../../../src/providers/process/changes.ts';
import { configSchema } from '../../../src/providers/process/config.ts';
import { containerPlan } from '../../../src/providers/process/container-plan.ts';
import { fromWire, toWire } from '../../../src/providers/process/wire-error.ts';
import { containerWaiting } from '../../../src/podspec/container-waiting.ts';
import { conflict } from '../../../src/core/errors.ts';
import { isWithin } from '../../../src/providers/process/mounts.ts';
import { resolveUser } from '../../../src/providers/process/users.ts';

const pod = { uid: 'u', name: 'p', namespace: 'n' };
const root = { uid: 0, gid: 0, groups: [0], canSetGroups: true };
const person = { uid: 12_345, gid: 12_345, groups: [12_345, 27], canSetGroups: true };

const config: ContainerConfig = {
  name: 'c',
  attempt: 0,
  image: 'i',
  command: ['run'],
  args: ['--at=$(CONTAINER_SANDBOX_MOUNT_POINT)/x', '$(OTHER)'],
  env: { A: 'b' },
  tty: false,
  stdin: false,
  stdinOnce: false,
  logPath: '/logs/c/0.log',
  mounts: [],
  user: {},
  annotations: {},
};
const around = {
  pod,
  hostname: 'h',
  mountPoint: '/state/mounts/1',
  logLimits: { maxSizeBytes: 10, maxFiles: 2 },
  self: person,
};

describe('the plan of a container', () => {
  it('has the mount point in arguments, the environment of the pod, and starts in the mount point', async () => {
    const { plan } = await containerPlan(config, around);
    expect(plan.argv).toEqual(['run', '--at=/state/mounts/1/x', '$(OTHER)']);
    expect(plan.directory).toBe('/state/mounts/1');
    expect(Object.keys(plan.env).sort()).toEqual(['A', 'CONTAINER_SANDBOX_MOUNT_POINT', 'HOME', 'HOSTNAME', 'PATH']);
    expect(plan.user).toBeUndefined();
    expect(plan.stopSignal).toBe(15);
  });

  it('lets the pod’s own values win, but for the mark that tells its processes', async () => {
    const env = { PATH: '/x', HOME: '/y', HOSTNAME: 'z', TERM: 'dumb', CONTAINER_SANDBOX_MOUNT_POINT: '/lie' };
    const { plan } = await containerPlan({ ...config, tty: true, env }, around);
    expect(plan.env).toEqual({ ...env, CONTAINER_SANDBOX_MOUNT_POINT: '/state/mounts/1' });
  });

  it.each([
    ['no program', { command: [], args: [] }, 'no image to take a command from'],
    ['a relative working directory', { workingDir: 'x' }, 'not an absolute path'],
    ['an unknown stop signal', { stopSignal: 'SIGNOPE' }, 'SIGNOPE'],
  ])('is refused for %s', async (_name, more, message) => {
    await expect(containerPlan({ ...config, ...more }, around)).rejects.toMatchObject({
      waitingReason: 'CreateContainerError',
      message: expect.stringContaining(message),
    });
  });
});

describe('the user of a container', () => {
  it('is whatever the pod says, when we are root', async () => {
    const wanted = { runAsUser: 54_321, runAsGroup: 2, supplementalGroups: [3, 4], fsGroup: 4 };
    expect(await resolveUser(wanted, root, pod, 'c')).toEqual({
      user: { uid: 54_321, gid: 2, groups: [3, 4] },
      switched: true,
      home: '/',
    });
  });

  it('that is in no password file has a group of its own number, not root’s', async () => {
    expect((await resolveUser({ runAsUser: 54_321 }, root, pod, 'c')).user.gid).toBe(54_321);
  });

  it('is ours without root, and nothing else', async () => {
    expect(await resolveUser({ runAsUser: 12_345, fsGroup: 27 }, person, pod, 'c')).toMatchObject({ switched: false });
    for (const wanted of [{ runAsUser: 1 }, { runAsGroup: 1 }, { fsGroup: 1 }, { supplementalGroups: [27, 1] }]) {
      await expect(resolveUser(wanted, person, pod, 'c')).rejects.toMatchObject({
        waitingReason: 'CreateContainerConfigError',
        message: expect.stringContaining('the node runs as user 12345'),
      });
    }
  });

  it('must not be root when the pod says so', async () => {
    await expect(resolveUser({ runAsNonRoot: true }, root, pod, 'c')).rejects.toMatchObject({
      waitingReason: 'CreateContainerConfigError',
      message: 'container has runAsNonRoot and image will run as root (pod: "p_n(u)", container: c)',
    });
    expect(await resolveUser({ runAsNonRoot: true }, person, pod, 'c')).toBeDefined();
  });
});

describe('errors over the socket', () => {
  it('keep code, waiting reason and message', () => {
    expect(fromWire(toWire(conflict('busy')))).toMatchObject({ code: 'Conflict', message: 'busy' });
    expect(fromWire(toWire(containerWaiting('RunContainerError', 'no')))).toMatchObject({
      waitingReason: 'RunContainerError',
      message: 'no',
    });
    expect(fromWire(toWire('plain')).message).toBe('plain');
  });
});

describe('changes', () => {
  it('hold the newest of each thing only, in order, and end with the signal', async () => {
    const changes = new Changes();
    const sandbox = (id: string, state: 'ready' | 'notReady') =>
      ({ type: 'sandbox', sandbox: { id, pod, attempt: 0, state, createdAt: 0, podIPs: [] } }) as const;
    changes.push(sandbox('a', 'ready'));
    changes.push(sandbox('b', 'ready'));
    changes.push(sandbox('a', 'notReady'));
    changes.push({ type: 'sandboxRemoved', id: 'b' });
    const leave = new AbortController();
    const got: unknown[] = [];
    for await (const event of changes.read(leave.signal)) {
      got.push(event);
      if (got.length === 2) leave.abort();
    }
    expect(got).toEqual([sandbox('a', 'notReady'), { type: 'sandboxRemoved', id: 'b' }]);
  });
});

describe('paths and settings', () => {
  it('tell what lies within what', () => {
    expect(isWithin('/a/b', '/a')).toBe(true);
    expect(isWithin('/a', '/a')).toBe(true);
    expect(isWithin('/ab', '/a')).toBe(false);
    expect(isWithin('/a/..b', '/a')).toBe(true);
  });

  it('have defaults and refuse what they do not know', () => {
    expect(configSchema.parse({})).toEqual({ isolation: 'auto', apiServerAddress: 'direct' });
    expect(() => configSchema.parse({ isolation: 'required' })).toThrow();
    expect(() => configSchema.parse({ isolatoin: 'none' })).toThrow();
  });
});
