import { mkdtemp, readdir, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { LogLinks } from '../../../src/engine/log-links.ts';
import type { ContainerRecord } from '../../../src/providers/contract.ts';
import { MemoryLogger } from '../../../src/testing/index.ts';

const record = {
  id: 'abc',
  name: 'c',
  pod: { uid: 'u', name: 'web-0', namespace: 'shop' },
  logPath: '/logs/shop_web-0_u/c/0.log',
} as ContainerRecord;

describe('links to logs', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'anylet-links-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('are named as log agents expect them, made again without harm, and removed', async () => {
    const links = new LogLinks(join(folder, 'containers'), new MemoryLogger());
    await links.make(record);
    await links.make(record);
    expect(await readdir(join(folder, 'containers'))).toEqual(['web-0_shop_c-abc.log']);
    expect(await readlink(join(folder, 'containers/web-0_shop_c-abc.log'))).toBe(record.logPath);
    await links.remove(record);
    expect(await readdir(join(folder, 'containers'))).toEqual([]);
  });

  it('are left out without a folder', async () => {
    const links = new LogLinks(undefined, new MemoryLogger());
    await links.make(record);
    await links.remove(record);
    expect(await readdir(folder)).toEqual([]);
  });

  it('that cannot be made are logged, and nothing fails', async () => {
    const log = new MemoryLogger();
    await new LogLinks('/dev/null/links', log).make(record);
    expect(log.lines.map(({ message }) => message)).toEqual(['log link not made']);
  });
});
