import { describe, expect, it } from '@jest/globals';
import { importsOf, roomOf, rooms, violations } from '../../../scripts/rooms.ts';

describe('the rooms', () => {
  it('lets a room import the open rooms and what its line names', () => {
    const source = `import { notFound } from '../core/errors.ts';
import type { PodProvider } from '../providers/contract.ts';
import { listWatch } from '../kube/list-watch.ts';
import { worker } from './worker.ts';`;
    expect(violations('src/pods/source.ts', source)).toEqual([]);
  });

  it.each([
    ['src/pods/worker.ts', `import { app } from '../server/app.ts';`, 'pods may not import server'],
    ['src/engine/machine.ts', `import type { Client } from '../kube/client.ts';`, 'engine may not import kube'],
    ['src/core/tasks.ts', `import { count } from '../metrics/registry.ts';`, 'core may not import metrics'],
    [
      'src/providers/process/index.ts',
      `import { queue } from '../simulated/queue.ts';`,
      'providers/process may not import',
    ],
    ['src/kube/lease.ts', `const pods = await import('../pods/source.ts');`, 'kube may not import pods'],
    ['src/node/status.ts', `import {\n  a,\n  b,\n} from '../server/routes/exec.ts';`, 'node may not import server'],
    ['src/node/status.ts', `export { a } from '../server/routes/exec.ts';`, 'node may not import server'],
    ['src/daemon.ts', `import '../src/cli/run.ts';`, 'daemon may not import cli'],
    ['src/plumbing/pipe.ts', ``, 'plumbing is no room'],
  ])('catches %s: %s', (path, source, says) => {
    expect(violations(path, source)).toEqual([expect.stringContaining(says)]);
  });

  it.each([
    ['src/pods/worker.ts', `import express from 'express';`, 'express belongs to'],
    [
      'src/kube/client.ts',
      `import { KubeConfig } from '@kubernetes/client-node';`,
      'values of @kubernetes/client-node',
    ],
    ['src/node/object.ts', `await import('@kubernetes/client-node');`, 'values of @kubernetes/client-node'],
    ['src/daemon.ts', `import winston from 'winston';`, 'winston belongs to'],
    ['src/engine/probe.ts', `import { spawn } from 'node:child_process';`, 'node:child_process belongs to'],
    ['src/pods/worker.ts', `if (process.env['X'] === 'y') run();`, 'process.env belongs to'],
  ])('keeps packages and the process where they belong: %s: %s', (path, source, says) => {
    expect(violations(path, source)).toEqual([expect.stringContaining(says)]);
  });

  it('lets everyone import types of the client library, and one file its values when they are needed', () => {
    expect(violations('src/core/objects.ts', `import type { V1Pod } from '@kubernetes/client-node';`)).toEqual([]);
    expect(violations('src/kube/credential-plugin.ts', `await import('@kubernetes/client-node');`)).toEqual([]);
  });

  it('reads no import out of a comment', () => {
    expect(importsOf(`/**\n * import { a } from 'winston';\n */\n// import 'express';\nconst a = 1;`)).toEqual([]);
  });

  it('has no cycle in its table', () => {
    const depth = (room: string, above: readonly string[] = []): number => {
      expect(above).not.toContain(room);
      return Math.max(0, ...(rooms[room] ?? []).map((below) => 1 + depth(below, [...above, room])));
    };
    for (const room of Object.keys(rooms)) depth(room);
  });

  it('knows a provider by its folder', () => {
    expect(roomOf('src/providers/process/shim/main.ts')).toBe('providers/process');
    expect(roomOf('src/providers/contract.ts')).toBe('providers/contract');
    expect(roomOf('src/main.ts')).toBe('main');
  });
});
