import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { codeOf, unavailable } from '../../../src/core/errors.ts';
import type { Pod, Volume } from '../../../src/core/objects.ts';
import { volumeContent } from '../../../src/podspec/volume-content.ts';
import { volumePath } from '../../../src/podspec/volume-path.ts';
import { base64, container, pod, sources, type Objects } from './fixtures.ts';

const objects: Objects = {
  configMaps: { cm: { data: { a: 'A', b: 'B' }, binaryData: { bin: Buffer.from([0, 255]).toString('base64') } } },
  secrets: { s: { data: { p: base64('pass') } } },
};

async function contentOf(
  volume: Omit<Volume, 'name'>,
  from: Objects = objects,
  change: (subject: Pod) => Pod = (p) => p,
) {
  const subject = change(pod({ volumes: [{ name: 'v', ...volume }] }, { labels: { l: 'x' } }));
  const { files } = await volumeContent(subject, 'v', sources(from));
  return Object.fromEntries(
    files.map((f) => [
      f.path,
      [Buffer.from(f.data).toString('latin1'), f.mode, ...(f.uid === undefined ? [] : [f.uid])],
    ]),
  );
}

describe('volumeContent', () => {
  it.each<[string, Omit<Volume, 'name'>, Record<string, unknown>]>([
    [
      'all keys of a ConfigMap',
      { configMap: { name: 'cm' } },
      { a: ['A', 0o644], b: ['B', 0o644], bin: ['\u0000ÿ', 0o644] },
    ],
    [
      'chosen keys under their paths',
      {
        configMap: {
          name: 'cm',
          items: [
            { key: 'a', path: 'd/./x' },
            { key: 'bin', path: 'y', mode: 0o400 },
          ],
        },
      },
      { 'd/x': ['A', 0o644], y: ['\u0000ÿ', 0o400] },
    ],
    ['nothing of an optional ConfigMap that is missing', { configMap: { name: 'no', optional: true } }, {}],
    [
      'what there is of optional keys',
      {
        configMap: {
          name: 'cm',
          optional: true,
          items: [
            { key: 'no', path: 'n' },
            { key: 'b', path: 'b' },
          ],
        },
      },
      { b: ['B', 0o644] },
    ],
    ['a Secret with its mode', { secret: { secretName: 's', defaultMode: 0o400 } }, { p: ['pass', 0o400] }],
    [
      'the downward API',
      {
        downwardAPI: {
          items: [
            { path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } },
            {
              path: 'cpu',
              mode: 0o600,
              resourceFieldRef: { containerName: 'c', resource: 'limits.cpu', divisor: '1m' },
            },
          ],
        },
      },
      { labels: ['l="x"', 0o644], cpu: ['4000', 0o600] },
    ],
    [
      'projected sources, the later of two at one path',
      {
        projected: {
          defaultMode: 0o440,
          sources: [
            { configMap: { name: 'cm', items: [{ key: 'a', path: 'one' }] } },
            { secret: { name: 's', items: [{ key: 'p', path: 'one' }] } },
            { downwardAPI: { items: [{ path: 'name', fieldRef: { fieldPath: 'metadata.name' } }] } },
            { serviceAccountToken: { path: 'token' } },
          ],
        },
      },
      { one: ['pass', 0o440], name: ['web', 0o440], token: ['token-1', 0o440] },
    ],
  ])('is %s', async (_, volume, expected) => {
    expect(await contentOf(volume)).toEqual(expected);
  });

  it.each<[string, Omit<Volume, 'name'>, string, string]>([
    ['a ConfigMap', { configMap: { name: 'nope' } }, 'NotFound', 'configmap "nope" not found'],
    ['a Secret', { secret: { secretName: 'nope' } }, 'NotFound', 'secret "nope" not found'],
    [
      'a ConfigMap key',
      { configMap: { name: 'cm', items: [{ key: 'no', path: 'x' }] } },
      'NotFound',
      'configmap references non-existent config key: no',
    ],
    [
      'a Secret key',
      { secret: { secretName: 's', items: [{ key: 'no', path: 'x' }] } },
      'NotFound',
      'references non-existent secret key: no',
    ],
    [
      'a path outside',
      { configMap: { name: 'cm', items: [{ key: 'a', path: '../x' }] } },
      'InvalidInput',
      "invalid path: must not contain '..': ../x",
    ],
    [
      'a container',
      { downwardAPI: { items: [{ path: 'x', resourceFieldRef: { containerName: 'no', resource: 'limits.cpu' } }] } },
      'InvalidInput',
      'container no not found',
    ],
    ['content', { emptyDir: {} }, 'InvalidInput', 'volume "v" has no content that the node provides'],
    [
      'two projected sources',
      {
        projected: { sources: [{ configMap: { name: 'x' } }, { configMap: { name: 'x' } }, { secret: { name: 'y' } }] },
      },
      'NotFound',
      '[configmap "x" not found, secret "y" not found]',
    ],
    [
      'a kind of source',
      { projected: { sources: [{ clusterTrustBundle: { path: 'x', name: 'b' } }] } },
      'Unsupported',
      'volume "v": a projected source of type clusterTrustBundle is not supported by this node',
    ],
  ])('lacks %s', async (_, volume, code, message) => {
    await expect(contentOf(volume)).rejects.toMatchObject({ code, message });
  });

  it('does not take an unreachable API server for an optional object that is missing', async () => {
    const failure = await contentOf(
      { configMap: { name: 'cm', optional: true } },
      { unavailable: unavailable('no answer') },
    ).catch((err: unknown) => err);
    expect(codeOf(failure)).toBe('Unavailable');
  });

  it('refuses a volume that the pod does not have', async () => {
    await expect(volumeContent(pod(), 'v', sources())).rejects.toMatchObject({
      code: 'InvalidInput',
      message: 'pod has no volume "v"',
    });
  });

  describe('a service account token', () => {
    const projected = {
      projected: { sources: [{ serviceAccountToken: { path: 'token', audience: 'vault', expirationSeconds: 600 } }] },
    };

    it('is asked for with its audience and lifetime', async () => {
      const from = sources();
      await volumeContent(pod({ volumes: [{ name: 'v', ...projected }] }), 'v', from);
      expect(from.tokenRequests).toEqual([{ audience: 'vault', expirationSeconds: 600 }]);
    });

    it("belongs to the pod's one user", async () => {
      const one = (subject: Pod): Pod => ({ ...subject, spec: { ...subject.spec, securityContext: { runAsUser: 7 } } });
      expect(await contentOf(projected, {}, one)).toEqual({ token: ['token-1', 0o600, 7] });
    });

    it('is private with an fsGroup', async () => {
      const grouped = (subject: Pod): Pod => ({
        ...subject,
        spec: { ...subject.spec, containers: [container()], securityContext: { fsGroup: 7 } },
      });
      expect(await contentOf(projected, {}, grouped)).toEqual({ token: ['token-1', 0o600] });
    });
  });
});

describe('volumePath', () => {
  it.each([
    ['a', 'a'],
    ['a/b', 'a/b'],
    ['a//b/', 'a/b'],
    ['./a', 'a'],
    ['a/..b', 'a/..b'],
    ['.a', '.a'],
  ])('%s is %s', (path, normal) => {
    expect(volumePath(path)).toBe(normal);
  });

  it.each([
    '',
    '.',
    './',
    '/a',
    '..',
    '../a',
    'a/..',
    'a/../b',
    '..a',
    './..data',
    'x'.repeat(256),
    `${'a/'.repeat(2048)}b`,
    'a\0b',
  ])('refuses %j', (path) => {
    expect(() => volumePath(path)).toThrow(expect.objectContaining({ code: 'InvalidInput' }));
  });

  it('never leads out of the volume', () => {
    const piece = fc.constantFrom('a', '.', '..', '', '..data', '.b', 'c');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 6 }), (pieces) => {
        let normal: string;
        try {
          normal = volumePath(pieces.join('/'));
        } catch {
          return;
        }
        expect(normal.startsWith('/') || normal.startsWith('..') || normal.split('/').includes('..')).toBe(false);
        expect(normal.split('/').every((name) => name !== '' && name !== '.')).toBe(true);
      }),
    );
  });
});
