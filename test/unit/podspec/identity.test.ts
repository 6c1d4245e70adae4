import { describe, expect, it } from '@jest/globals';

import type { Container, PodSpec } from '../../../src/core/objects.ts';
import { hostsFile } from '../../../src/podspec/hosts-file.ts';
import { podHostname } from '../../../src/podspec/hostname.ts';
import { containerUser, uniformUser, verifyRunAsNonRoot, type ImageUser } from '../../../src/podspec/users.ts';
import { container, pod } from './fixtures.ts';

describe('podHostname', () => {
  it.each<[string, Partial<PodSpec>, string, string]>([
    ['its name', {}, 'web', 'web'],
    ['its hostname', { hostname: 'h', subdomain: 's' }, 'web', 'h'],
    [
      'its full name when it asks',
      { hostname: 'h', subdomain: 's', setHostnameAsFQDN: true },
      'web',
      'h.s.ns.svc.cluster.local',
    ],
    ['no full name without a subdomain', { setHostnameAsFQDN: true }, 'web', 'web'],
    [
      'its override before all',
      { hostname: 'h', subdomain: 's', setHostnameAsFQDN: true, hostnameOverride: 'o.example' },
      'web',
      'o.example',
    ],
    ['at most 63 characters', {}, 'x'.repeat(70), 'x'.repeat(63)],
    ['no dash at the cut', {}, `${'x'.repeat(60)}-.-${'y'.repeat(10)}`, 'x'.repeat(60)],
  ])('is %s', (_, spec, name, expected) => {
    expect(podHostname(pod(spec, { name }))).toBe(expected);
  });

  it('refuses a full name that the kernel cannot hold', () => {
    const long = pod({ hostname: 'h'.repeat(50), subdomain: 's', setHostnameAsFQDN: true });
    expect(() => podHostname(long)).toThrow(
      expect.objectContaining({
        code: 'InvalidInput',
        message: expect.stringContaining('is too long (64 characters is the max, 73 characters requested)'),
      }),
    );
  });
});

describe('hostsFile', () => {
  it('names the pod at each address, then its aliases', () => {
    const subject = pod({ subdomain: 's', hostAliases: [{ ip: '1.2.3.4', hostnames: ['a.example', 'b.example'] }] });
    const text = hostsFile(subject, ['10.1.0.7', 'fd01::7'], '');
    expect(text.startsWith('# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n')).toBe(true);
    expect(text.split('fe00::2\tip6-allrouters\n')[1]).toBe(
      '10.1.0.7\tweb.s.ns.svc.cluster.local\tweb\nfd01::7\tweb.s.ns.svc.cluster.local\tweb\n' +
        '\n# Entries added by HostAliases.\n1.2.3.4\ta.example\tb.example\n',
    );
  });

  it("is the node's own on the node's network", () => {
    expect(hostsFile(pod({ hostNetwork: true }), ['10.0.0.1'], '127.0.0.1 localhost\n')).toBe(
      '# Kubernetes-managed hosts file (host network).\n127.0.0.1 localhost\n',
    );
  });
});

describe('containerUser', () => {
  it("is the container's before the pod's; groups are the pod's", () => {
    const subject = pod({
      securityContext: { runAsUser: 1, runAsGroup: 2, runAsNonRoot: true, supplementalGroups: [3], fsGroup: 4 },
    });
    const own = container({ securityContext: { runAsUser: 0, runAsNonRoot: false } });
    expect(containerUser(subject, own)).toEqual({
      runAsUser: 0,
      runAsGroup: 2,
      runAsNonRoot: false,
      supplementalGroups: [3],
      fsGroup: 4,
    });
    expect(containerUser(pod(), container())).toEqual({});
  });

  it.each<[string, (number | undefined)[], number | undefined]>([
    ['one user', [5, 5], 5],
    ['two users', [5, 6], undefined],
    ['one that does not say', [5, undefined], undefined],
    ['none that says', [undefined], undefined],
  ])('is uniform or not: %s', (_, users, expected) => {
    const containers = users.map((runAsUser, i) =>
      container({ name: `c${i}`, ...(runAsUser === undefined ? {} : { securityContext: { runAsUser } }) }),
    );
    expect(uniformUser(pod({ containers }))).toBe(expected);
  });
});

describe('verifyRunAsNonRoot', () => {
  const where = '(pod: "web_ns(uid-1)", container: c)';
  const must: Container['securityContext'] = { runAsNonRoot: true };

  it.each<[string, Container['securityContext'], ImageUser]>([
    ['nothing forbids root', {}, { uid: 0 }],
    ['the spec names a user', { ...must, runAsUser: 7 }, { uid: 0 }],
    ['the image names a user', must, { uid: 7 }],
  ])('lets it run when %s', (_, securityContext, image) => {
    expect(() => verifyRunAsNonRoot(pod(), container({ securityContext: securityContext ?? {} }), image)).not.toThrow();
  });

  it.each<[Container['securityContext'], ImageUser, string]>([
    [must, { uid: 0 }, `container has runAsNonRoot and image will run as root ${where}`],
    [
      must,
      { username: 'app' },
      `container has runAsNonRoot and image has non-numeric user (app), cannot verify user is non-root ${where}`,
    ],
    [{ ...must, runAsUser: 0 }, {}, `container's runAsUser breaks non-root policy ${where}`],
  ])('refuses %j with image %j', (securityContext, image, message) => {
    expect(() => verifyRunAsNonRoot(pod(), container({ securityContext: securityContext ?? {} }), image)).toThrow(
      expect.objectContaining({ waitingReason: 'CreateContainerConfigError', message }),
    );
  });
});
