import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { systemClock } from '../../../src/core/clock.ts';
import { notFound } from '../../../src/core/errors.ts';
import type { Container, Pod, Volume, VolumeMount } from '../../../src/core/objects.ts';
import {
  FailedMountError,
  mountsFor,
  prepareVolumes,
  refreshVolumes,
  removeVolumes,
} from '../../../src/engine/volumes/index.ts';
import type { PreparedVolumes } from '../../../src/engine/volumes/index.ts';
import type { PodResolver, VolumeFile } from '../../../src/providers/contract.ts';

let state: string;
let outside: string;

beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), 'anylet-volumes-'));
  outside = join(state, 'outside');
  await mkdir(outside);
});

afterEach(async () => {
  await rm(state, { recursive: true });
});

type Files = Record<string, string | [string, number]>;

/** A pod that mounts all its volumes, and a resolver whose answers can be changed. */
function subject(volumes: Volume[], contents: Record<string, Files> = {}) {
  const mounts = volumes.map(({ name }): VolumeMount => ({ name, mountPath: `/${name}` }));
  const pod: Pod = {
    metadata: { name: 'web', namespace: 'ns', uid: 'uid-1' },
    spec: { containers: [{ name: 'c', image: 'i', volumeMounts: mounts }], volumes },
  };
  const resolver: PodResolver = {
    container: () => Promise.reject(new Error('not asked here')),
    volume(name) {
      const files = contents[name];
      if (files === undefined) return Promise.reject(notFound(`configmap "${name}" not found`));
      return Promise.resolve({
        files: Object.entries(files).map(([path, value]): VolumeFile => {
          const [text, mode] = typeof value === 'string' ? [value, 0o644] : value;
          return { path, data: Buffer.from(text), mode };
        }),
      });
    },
  };
  return {
    pod,
    contents,
    prepare: (of: Pod = pod) => prepareVolumes(of, state, resolver, []),
    refresh: () => refreshVolumes(pod, state, resolver, []),
  };
}

const cm = (name = 'v'): Volume => ({ name, configMap: { name: 'cm' } });
const hostPathOf = (volumes: PreparedVolumes, name = 'v') => volumes.get(name)?.hostPath ?? '';
const modeOf = async (path: string) => (await stat(path)).mode & 0o7777;

describe('an emptyDir', () => {
  it('is a folder that anybody may write to, and keeps what it holds', async () => {
    const { prepare } = subject([{ name: 'e', emptyDir: {} }]);
    const path = hostPathOf(await prepare(), 'e');
    expect(path).toBe(join(state, 'pods/uid-1/volumes/kubernetes.io~empty-dir/e'));
    expect(await modeOf(path)).toBe(0o777);
    expect(await modeOf(join(state, 'pods/uid-1'))).toBe(0o700);
    await writeFile(join(path, 'kept'), 'x');
    await chmod(path, 0o700);
    await prepare();
    expect([await readdir(path), await modeOf(path)]).toEqual([['kept'], 0o700]);
  });

  it('says when it is not in memory as asked', async () => {
    const prepared = await subject([{ name: 'e', emptyDir: { medium: 'Memory' } }]).prepare();
    expect(prepared.get('e')?.notes).toEqual([
      'emptyDir volume "e" is on disk: this node does not keep volumes in memory',
    ]);
  });

  it('belongs to the fsGroup, as what is made in it will', async () => {
    const { pod, prepare } = subject([{ name: 'e', emptyDir: {} }]);
    const group = process.getgid?.() ?? 0;
    const prepared = await prepare({ ...pod, spec: { ...pod.spec, securityContext: { fsGroup: group } } });
    const { mode, gid } = await stat(hostPathOf(prepared, 'e'));
    expect([mode & 0o7777, gid]).toEqual([0o2777, group]);
  });
});

describe('a volume of content', () => {
  it('shows its files through links, with their modes', async () => {
    const path = hostPathOf(await subject([cm()], { v: { a: 'A', 'd/e/f': ['F', 0o400] } }).prepare());
    expect(path).toBe(join(state, 'pods/uid-1/volumes/kubernetes.io~configmap/v'));
    expect([await readFile(join(path, 'a'), 'utf8'), await readFile(join(path, 'd/e/f'), 'utf8')]).toEqual(['A', 'F']);
    expect([await readlink(join(path, 'a')), await readlink(join(path, 'd'))]).toEqual(['..data/a', '..data/d']);
    const version = await readlink(join(path, '..data'));
    expect(version).toMatch(/^\.\.\d{4}_\d\d_\d\d_\d\d_\d\d_\d\d\.\d+$/);
    expect((await readdir(path)).sort()).toEqual(['..data', version, 'a', 'd'].sort());
    expect(await Promise.all(['a', 'd/e/f', 'd', 'd/e', version].map((name) => modeOf(join(path, name))))).toEqual([
      0o644, 0o400, 0o755, 0o755, 0o755,
    ]);
  });

  it.each<[string, Volume, string]>([
    ['configmap', { name: 'v', configMap: {} }, 'kubernetes.io~configmap'],
    ['secret', { name: 'v', secret: {} }, 'kubernetes.io~secret'],
    ['downward-api', { name: 'v', downwardAPI: {} }, 'kubernetes.io~downward-api'],
    ['projected', { name: 'v', projected: {} }, 'kubernetes.io~projected'],
  ])('of the plugin %s lies in its folder, read-only', async (_, volume, folder) => {
    const prepared = (await subject([volume], { v: {} }).prepare()).get('v');
    expect(prepared).toEqual({ hostPath: join(state, 'pods/uid-1/volumes', folder, 'v'), readOnly: true, notes: [] });
    expect(await readdir(prepared?.hostPath ?? '')).toContain('..data');
  });

  it('is not written again when it is the same', async () => {
    const { prepare, refresh } = subject([cm()], { v: { a: 'A' } });
    const path = hostPathOf(await prepare());
    const version = await readlink(join(path, '..data'));
    expect(await refresh()).toEqual([]);
    await prepare();
    expect(await readlink(join(path, '..data'))).toBe(version);
  });

  it.each<[string, Files, string[]]>([
    ['another text', { a: 'B', b: 'b' }, ['a', 'b']],
    ['another mode', { a: ['A', 0o600], b: 'b' }, ['a', 'b']],
    ['one file less', { a: 'A' }, ['a']],
    ['one file more', { a: 'A', b: 'b', c: 'c' }, ['a', 'b', 'c']],
    ['a folder for a file', { 'a/x': 'A', b: 'b' }, ['a', 'b']],
    ['no files', {}, []],
  ])('is replaced as a whole by %s', async (_, next, names) => {
    const { contents, prepare, refresh } = subject([cm()], { v: { a: 'A', b: 'b' } });
    const path = hostPathOf(await prepare());
    const before = await readlink(join(path, '..data'));
    contents['v'] = next;
    expect(await refresh()).toEqual(['v']);
    const after = await readlink(join(path, '..data'));
    expect(after).not.toBe(before);
    expect((await readdir(path)).sort()).toEqual(['..data', after, ...names].sort());
    for (const [name, value] of Object.entries(next)) {
      const [text, mode] = typeof value === 'string' ? [value, 0o644] : value;
      expect([await readFile(join(path, name), 'utf8'), await modeOf(join(path, name))]).toEqual([text, mode]);
    }
    expect(await refresh()).toEqual([]);
  });

  it('never shows half of a change', async () => {
    const { contents, prepare, refresh } = subject([cm()], { v: { a: '0', b: '0' } });
    const path = hostPathOf(await prepare());
    let compared = 0;
    let mixed = 0;
    const stop = new AbortController();
    const reader = (async () => {
      while (!stop.signal.aborted) {
        const one = join(path, await readlink(join(path, '..data')));
        // A version that is replaced meanwhile goes away as a whole.
        const both = await Promise.all([readFile(join(one, 'a'), 'utf8'), readFile(join(one, 'b'), 'utf8')]).catch(
          () => undefined,
        );
        if (both === undefined) continue;
        compared++;
        if (both[0] !== both[1]) mixed++;
      }
    })();
    for (let i = 1; i <= 30; i++) {
      contents['v'] = { a: String(i), b: String(i) };
      await refresh();
    }
    stop.abort();
    await reader;
    expect(compared).toBeGreaterThan(0);
    expect(mixed).toBe(0);
  });

  it('is written in turns', async () => {
    const { contents, prepare, refresh } = subject([cm()], { v: { a: '0' } });
    const path = hostPathOf(await prepare());
    const writes = [1, 2, 3, 4, 5, 6].map((n) => {
      contents['v'] = { a: String(n), 'd/e': String(n) };
      return n % 2 === 0 ? prepare() : refresh();
    });
    await Promise.all(writes);
    expect([await readFile(join(path, 'a'), 'utf8'), await readFile(join(path, 'd/e'), 'utf8')]).toEqual(['6', '6']);
    expect((await readdir(path)).filter((name) => name.startsWith('..2'))).toHaveLength(1);
  });

  it('does not come back by a refresh after its removal', async () => {
    const { prepare, refresh } = subject([cm()], { v: { a: 'A' } });
    await prepare();
    await removeVolumes(state, 'uid-1');
    expect(await refresh()).toEqual([]);
    expect(await readdir(join(state, 'pods'))).toEqual([]);
  });

  it('is put right after a write that was interrupted', async () => {
    const { prepare } = subject([cm()], { v: { a: 'A', b: 'B' } });
    const path = hostPathOf(await prepare());
    await rm(join(path, 'b'));
    await mkdir(join(path, '..2020_01_01_00_00_00.1234567890'));
    await symlink('nowhere', join(path, '..data_tmp'));
    await prepare();
    expect((await readdir(path)).filter((name) => name !== '..data' && !name.startsWith('..2')).sort()).toEqual([
      'a',
      'b',
    ]);
    expect((await readdir(path)).filter((name) => name.startsWith('..2'))).toHaveLength(1);
    expect(await readFile(join(path, 'b'), 'utf8')).toBe('B');
  });

  it('leaves folders that a subPath made, and nothing outside that a link points to', async () => {
    const { contents, prepare } = subject([cm()], { v: { a: 'A' } });
    const path = hostPathOf(await prepare());
    await mkdir(join(path, 'made'));
    await writeFile(join(outside, 'mine'), 'x');
    await rm(join(path, '..data'));
    await symlink('../../../../../outside', join(path, '..data'));
    contents['v'] = { a: 'B' };
    await prepare();
    expect([
      await readFile(join(path, 'a'), 'utf8'),
      await readdir(outside),
      await readdir(join(path, 'made')),
    ]).toEqual(['B', ['mine'], []]);
  });

  it.each(['../x', '/x', 'a/../../x', '..data'])('refuses a file at %s', async (name) => {
    await expect(subject([cm()], { v: { [name]: 'x' } }).prepare()).rejects.toMatchObject({ code: 'InvalidInput' });
  });

  it('can be read by its fsGroup', async () => {
    const { pod, prepare } = subject([cm()], { v: { t: ['T', 0o600] } });
    const group = process.getgid?.() ?? 0;
    const grouped = { ...pod, spec: { ...pod.spec, securityContext: { fsGroup: group } } };
    const path = hostPathOf(await prepare(grouped));
    const version = await readlink(join(path, '..data'));
    await prepare(grouped);
    expect([await modeOf(join(path, 't')), await readlink(join(path, '..data'))]).toEqual([0o640, version]);
  });
});

describe('a hostPath', () => {
  const prepareAt = (path: string, type?: string) =>
    subject([{ name: 'h', hostPath: { path, ...(type === undefined ? {} : { type }) } }]).prepare();

  it('is the path itself', async () => {
    expect((await prepareAt('/no/such/place')).get('h')).toEqual({
      hostPath: '/no/such/place',
      readOnly: false,
      notes: [],
    });
  });

  it.each([
    ['Directory', 'a directory'],
    ['File', 'a file'],
    ['Socket', 'a socket file'],
    ['CharDevice', 'a character device'],
    ['BlockDevice', 'a block device'],
  ])('of type %s must be there', async (type, called) => {
    const path = join(outside, 'missing');
    await expect(prepareAt(path, type)).rejects.toMatchObject({
      message: `MountVolume.SetUp failed for volume "h" : hostPath type check failed: ${path} is not ${called}`,
    });
  });

  it('may be another kind of thing than asked for', async () => {
    await writeFile(join(outside, 'file'), '');
    await expect(prepareAt(join(outside, 'file'), 'DirectoryOrCreate')).rejects.toThrow('is not a directory');
    await expect(prepareAt(outside, 'FileOrCreate')).rejects.toThrow('is not a file');
    await expect(prepareAt('/dev/null', 'BlockDevice')).rejects.toThrow('is not a block device');
  });

  it('may be what was asked for', async () => {
    const socket = join(outside, 's');
    const server = createServer().listen(socket);
    await new Promise((resolve) => server.once('listening', resolve));
    await writeFile(join(outside, 'file'), '');
    await expect(
      Promise.all([
        prepareAt(outside, 'Directory'),
        prepareAt(join(outside, 'file'), 'File'),
        prepareAt(socket, 'Socket'),
        prepareAt('/dev/null', 'CharDevice'),
      ]),
    ).resolves.toHaveLength(4);
    await new Promise((resolve) => server.close(resolve));
  });

  it('is made when its type says so', async () => {
    await prepareAt(join(outside, 'a/b'), 'DirectoryOrCreate');
    await prepareAt(join(outside, 'a/file'), 'FileOrCreate');
    expect([await modeOf(join(outside, 'a/b')), (await lstat(join(outside, 'a/file'))).isFile()]).toEqual([
      0o755,
      true,
    ]);
  });

  it('must not climb', async () => {
    await expect(prepareAt('/var/../etc')).rejects.toMatchObject({ code: 'InvalidInput' });
  });
});

describe('volumes that fail', () => {
  it('are named as in the event of the recorded pod', async () => {
    const failure = await subject([{ name: 'v', configMap: { name: 'nope' } }], {})
      .prepare()
      .catch((err: unknown) => err);
    expect(failure).toBeInstanceOf(FailedMountError);
    expect(failure).toMatchObject({
      code: 'NotFound',
      messages: ['MountVolume.SetUp failed for volume "v" : configmap "v" not found'],
    });
  });

  it('are all told, and the others are ready', async () => {
    const { prepare } = subject([
      cm('one'),
      { name: 'e', emptyDir: {} },
      { name: 'data', persistentVolumeClaim: { claimName: 'x' } },
    ]);
    await expect(prepare()).rejects.toMatchObject({
      code: 'Unsupported',
      messages: [
        'MountVolume.SetUp failed for volume "one" : configmap "one" not found',
        'MountVolume.SetUp failed for volume "data" : persistentVolumeClaim volumes are not supported by this node',
      ],
    });
    expect(await readdir(join(state, 'pods/uid-1/volumes/kubernetes.io~empty-dir'))).toEqual(['e']);
  });

  it('do not matter when nobody mounts them', async () => {
    const { pod, prepare } = subject([{ name: 'data', persistentVolumeClaim: { claimName: 'x' } }]);
    expect(await prepare({ ...pod, spec: { ...pod.spec, containers: [{ name: 'c' }] } })).toEqual(new Map());
  });

  it('keep their old content', async () => {
    const { contents, prepare, refresh } = subject([cm()], { v: { a: 'A' } });
    const path = hostPathOf(await prepare());
    delete contents['v'];
    await expect(refresh()).rejects.toMatchObject({ code: 'NotFound' });
    expect(await readFile(join(path, 'a'), 'utf8')).toBe('A');
  });

  it.each(['../x', 'a/b', '', '.'])('are refused by the name %j', async (name) => {
    await expect(subject([{ name, emptyDir: {} }]).prepare()).rejects.toMatchObject({ code: 'InvalidInput' });
  });

  it('are refused where a link has taken a folder’s place', async () => {
    await symlink(outside, join(state, 'pods'));
    await expect(subject([{ name: 'e', emptyDir: {} }]).prepare()).rejects.toMatchObject({ code: 'Conflict' });
    expect(await readdir(outside)).toEqual([]);
  });
});

describe('mountsFor', () => {
  const mount = (fields: Partial<VolumeMount>): VolumeMount => ({ name: 'v', mountPath: '/m', ...fields });
  const mounted = (volumes: PreparedVolumes, mounts: VolumeMount[], env = {}) =>
    mountsFor({ name: 'c', volumeMounts: mounts } satisfies Partial<Container>, volumes, env);
  const volumeAt = (hostPath: string, readOnly = false): PreparedVolumes =>
    new Map([['v', { hostPath, readOnly, notes: [] }]]);

  it('is read-only where the mount or the volume says so', async () => {
    expect(await mounted(volumeAt(outside), [mount({ mountPath: 'relative', readOnly: true })])).toEqual([
      { name: 'v', hostPath: outside, containerPath: '/relative', readOnly: true },
    ]);
    expect(await mounted(volumeAt(outside, true), [mount({})])).toMatchObject([{ readOnly: true }]);
  });

  it('puts outer paths first', async () => {
    const paths = (
      await mounted(
        volumeAt(outside),
        ['/a/b/c', '/a', '/z/y', '/b'].map((mountPath) => mount({ mountPath })),
      )
    ).map((m) => m.containerPath);
    expect(paths).toEqual(['/a', '/b', '/z/y', '/a/b/c']);
  });

  it('makes a subPath that is missing, with the mode of the volume', async () => {
    await chmod(outside, 0o777);
    const [made] = await mounted(volumeAt(outside), [mount({ subPath: 'a/./b//c' })]);
    expect(made?.hostPath).toBe(join(outside, 'a/b/c'));
    expect([await modeOf(join(outside, 'a')), await modeOf(join(outside, 'a/b/c'))]).toEqual([0o777, 0o777]);
  });

  it('finds the file behind the links of a content volume', async () => {
    const volumes = await subject([cm()], { v: { key: 'K' } }).prepare();
    const [found] = await mounted(volumes, [mount({ subPath: 'key' })]);
    expect(await readFile(found?.hostPath ?? '', 'utf8')).toBe('K');
    expect((await lstat(found?.hostPath ?? '')).isFile()).toBe(true);
  });

  it('expands a subPathExpr from the environment', async () => {
    const [made] = await mounted(volumeAt(outside), [mount({ subPathExpr: '$(POD)/$$x' })], { POD: 'web' });
    expect(made?.hostPath).toBe(join(outside, 'web/$x'));
  });

  it.each<[string, Partial<VolumeMount>, string]>([
    ['a volume that is not ready', { name: 'nope' }, 'cannot find volume "nope" to mount into container "c"'],
    ['an absolute subPath', { subPath: '/etc' }, 'error SubPath `/etc` must not be an absolute path'],
    [
      'a subPath that climbs',
      { subPath: 'a/../../b' },
      "unable to provision SubPath `a/../../b`: must not contain '..'",
    ],
    [
      'an expansion that climbs',
      { subPathExpr: '$(UP)/b' },
      "unable to provision SubPath `../b`: must not contain '..'",
    ],
    ['variables that are missing or empty', { subPathExpr: '$(Z)$(A)$(EMPTY)' }, 'missing value for A, EMPTY, Z'],
    [
      'a link that leads out of the volume',
      { subPath: 'escape/x' },
      'failed to prepare subPath for volumeMount "v" of container "c"',
    ],
    [
      'a link that leads to nothing',
      { subPath: 'dangling' },
      'failed to prepare subPath for volumeMount "v" of container "c"',
    ],
    ['a folder inside a file', { subPath: 'file/x' }, 'failed to prepare subPath for volumeMount "v" of container "c"'],
  ])('refuses %s', async (_, fields, message) => {
    const volume = join(state, 'volume');
    await mkdir(volume);
    await symlink(outside, join(volume, 'escape'));
    await symlink(join(outside, 'not-there'), join(volume, 'dangling'));
    await writeFile(join(volume, 'file'), '');
    await expect(mounted(volumeAt(volume), [mount(fields)], { UP: '..', EMPTY: '' })).rejects.toMatchObject({
      waitingReason: 'CreateContainerConfigError',
      message,
    });
    expect(await readdir(outside)).toEqual([]);
  });

  it('follows a link inside the volume', async () => {
    await mkdir(join(outside, 'real'));
    await symlink('real', join(outside, 'alias'));
    expect(await mounted(volumeAt(outside), [mount({ subPath: 'alias/x' })])).toMatchObject([
      { hostPath: join(outside, 'real/x') },
    ]);
  });
});

describe('removeVolumes', () => {
  it('removes all that a pod has, and nothing that links lead to', async () => {
    const { prepare } = subject([cm(), { name: 'e', emptyDir: {} }], { v: { a: 'A' } });
    const path = hostPathOf(await prepare(), 'e');
    await writeFile(join(outside, 'mine'), 'x');
    await symlink(outside, join(path, 'link'));
    await mkdir(join(path, 'closed/inner'), { recursive: true });
    await writeFile(Buffer.concat([Buffer.from(`${path}/closed/`), Buffer.from([0xff, 0xfe])]), '');
    await chmod(join(path, 'closed'), 0);
    await removeVolumes(state, 'uid-1');
    expect([await readdir(join(state, 'pods')), await readdir(outside)]).toEqual([[], ['mine']]);
  });

  it('leaves what else the pod’s folder holds', async () => {
    await subject([{ name: 'e', emptyDir: {} }]).prepare();
    await writeFile(join(state, 'pods/uid-1/etc-hosts'), '');
    await removeVolumes(state, 'uid-1');
    expect(await readdir(join(state, 'pods/uid-1'))).toEqual(['etc-hosts']);
  });

  it('is done when there is nothing', async () => {
    await expect(removeVolumes(state, 'uid-2')).resolves.toBeUndefined();
  });

  it('removes nothing while something is mounted below', async () => {
    const path = hostPathOf(await subject([{ name: 'e', emptyDir: {} }]).prepare(), 'e');
    const mountPoints = () => Promise.resolve(['/', join(path, 'mnt')]);
    await expect(removeVolumes(state, 'uid-1', mountPoints)).rejects.toMatchObject({ code: 'Conflict' });
    expect(await readdir(join(state, 'pods/uid-1/volumes'))).toEqual(['kubernetes.io~empty-dir']);
  });

  it.each(['..', '../x', '', 'a/b'])('refuses the UID %j', async (uid) => {
    await expect(removeVolumes(state, uid)).rejects.toMatchObject({ code: 'InvalidInput' });
  });
});

describe('the name of a version', () => {
  it('is its time', async () => {
    const { pod } = subject([cm()], { v: {} });
    const resolver = { volume: () => Promise.resolve({ files: [] }) } as unknown as PodResolver;
    const clock = { ...systemClock, now: () => Date.UTC(2016, 9, 6, 0, 17, 9) };
    const path = hostPathOf(await prepareVolumes(pod, state, resolver, [], clock));
    expect(await readlink(join(path, '..data'))).toMatch(/^\.\.2016_10_06_00_17_09\.\d{10}$/);
  });
});
