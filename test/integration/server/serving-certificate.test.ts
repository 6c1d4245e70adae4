import { X509Certificate } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { systemClock } from '../../../src/core/clock.ts';
import {
  readServingCertificate,
  selfSignedServingCertificate,
  type ServingCertificate,
} from '../../../src/server/index.ts';

const dayMs = 24 * 3_600_000;
const now = Date.parse('2026-01-01T00:00:00Z');
let directory: string;
let certFile: string;
let keyFile: string;
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'anylet-pki-'));
  certFile = path.join(directory, 'kubelet.crt');
  keyFile = path.join(directory, 'kubelet.key');
});
afterEach(() => rm(directory, { recursive: true }));

const make = (addresses = ['10.0.0.1', 'fd00::1'], atMs = now): Promise<ServingCertificate> => {
  return selfSignedServingCertificate({
    directory,
    nodeName: 'node-1',
    addresses,
    clock: { ...systemClock, now: () => atMs },
  });
};

describe('self-signed serving certificate', () => {
  it('names the node and its addresses, for a year', async () => {
    const certificate = new X509Certificate((await make()).cert);
    expect(certificate.subject).toBe('CN=node-1');
    expect(certificate.subjectAltName).toBe('DNS:node-1, IP Address:10.0.0.1, IP Address:FD00:0:0:0:0:0:0:1');
    expect(certificate.checkHost('node-1')).toBe('node-1');
    expect(certificate.checkIP('10.0.0.1')).toBe('10.0.0.1');
    expect(certificate.validToDate).toEqual(new Date(now + 365 * dayMs));
    expect(certificate.publicKey.asymmetricKeyDetails?.namedCurve).toBe('prime256v1');
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
  });

  it('is kept, for the owner only, and used again', async () => {
    const first = await make();
    expect(await readdir(directory)).toEqual(['kubelet.crt', 'kubelet.key']);
    for (const file of [certFile, keyFile]) expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await make(['fd00:0::0001', '10.0.0.1', 'node-1'], now + 200 * dayMs)).toEqual(first);
    expect(await readFile(keyFile, 'utf8')).toBe(first.key);
  });

  it('is made anew when the addresses change, towards its end, and when what is kept is broken', async () => {
    let last = (await make()).cert;
    const another = async (certificate: Promise<ServingCertificate>) => {
      const { cert } = await certificate;
      expect(cert).not.toBe(last);
      last = cert;
    };
    await another(make(['10.0.0.2']));
    await another(make(['10.0.0.2'], now + 300 * dayMs));
    await writeFile(keyFile, 'nonsense');
    await another(make(['10.0.0.2'], now + 300 * dayMs));
    const { key } = await selfSignedServingCertificate({
      directory: path.join(directory, 'other'),
      nodeName: 'x',
      addresses: [],
      clock: systemClock,
    });
    await writeFile(keyFile, key);
    await another(make(['10.0.0.2'], now + 300 * dayMs));
  });
});

describe('serving certificate of the operator', () => {
  it('is read, and told when to be read again', async () => {
    const made = await make();
    expect(await readServingCertificate({ certFile, keyFile })).toEqual(made);
    expect(made.renewAtMs).toBeGreaterThan(now + 290 * dayMs);
    expect(made.renewAtMs).toBeLessThan(now + 295 * dayMs);
  });

  it('that cannot be used is one message with both names', async () => {
    await make();
    const absent = path.join(directory, 'absent.key');
    await expect(readServingCertificate({ certFile, keyFile: absent })).rejects.toMatchObject({
      code: 'InvalidInput',
      message: expect.stringContaining(absent),
    });
    await writeFile(certFile, 'nonsense');
    await expect(readServingCertificate({ certFile, keyFile })).rejects.toMatchObject({
      code: 'InvalidInput',
      message: expect.stringContaining(certFile),
    });
  });
});
