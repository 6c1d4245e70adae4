import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { accessOf, ask, processesWith, startDev } from '../integration/cli/dev-process.ts';
import { toolchain } from './control-plane/index.ts';

let folder: string;
let stateDir: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'anylet-dev-e2e-'));
  stateDir = join(folder, 'state');
}, 900_000);
afterAll(() => rm(folder, { recursive: true }));

/** A folder as KUBEBUILDER_ASSETS names one: the tests' one binary under the names of several. */
async function programs(...names: string[]): Promise<string> {
  const { controlPlane } = await toolchain();
  const path = await mkdtemp(join(folder, 'programs-'));
  await mkdir(path, { recursive: true });
  const script = (name: string) =>
    name === 'etcd'
      ? // The tests' etcd has fewer flags, of other names.
        `for a; do case $a in
           --data-dir=*) d=$a;; --listen-client-urls=*) c=--client-url=\${a#*=};; --listen-peer-urls=*) p=--peer-url=\${a#*=};;
         esac; done; exec ${controlPlane} etcd "$d" "$c" "$p"`
      : `exec ${controlPlane} ${name} "$@"`;
  for (const name of names) {
    await writeFile(join(path, name), `#!/bin/sh\n${script(name)}\n`);
    await chmod(join(path, name), 0o755);
  }
  return path;
}

describe('anylet dev --control-plane', () => {
  it.each([
    ['with a scheduler and controllers', ['etcd', 'kube-apiserver', 'kube-scheduler', 'kube-controller-manager']],
    ['with no more than etcd and an API server', ['etcd', 'kube-apiserver']],
  ])(
    'shows the same %s',
    async (_, names) => {
      const path = await programs(...names);
      const args = ['--state-dir', stateDir, '--demo', '--control-plane'];
      const { code, stdout } = await startDev(args, { KUBEBUILDER_ASSETS: path }).ended;
      expect(stdout.split('\n')).toEqual([
        `# the Kubernetes API of ${path} and node dev (process): loopback only, one user, to develop and test.`,
        '$ kubectl create -f examples/demo.yaml',
        'pod/demo created',
        '$ kubectl wait --for=condition=Ready pod/demo',
        'pod/demo condition met',
        '$ kubectl logs -f demo',
        ...[1, 2, 3, 4].map((number) => `hello number ${number} from pod demo`),
        '^C',
        `$ kubectl exec demo -- sh -c 'echo "this is a shell in pod $POD on node $NODE"'`,
        'this is a shell in pod demo on node dev',
        '$ kubectl delete pod demo',
        'pod "demo" deleted from default namespace',
        '',
      ]);
      expect(code).toBe(0);
      expect(processesWith(stateDir)).toEqual([]);
    },
    120_000,
  );

  it('ends its programs within three seconds, and goes on with what it kept', async () => {
    const path = await programs('etcd', 'kube-apiserver');
    const configMaps = '/api/v1/namespaces/default/configmaps';
    for (const start of ['first', 'second']) {
      const running = startDev(['--state-dir', stateDir, '--control-plane', path, '--keep']);
      await running.said('Ctrl-C stops');
      const access = accessOf(join(stateDir, 'kubeconfig'));
      if (start === 'first') await ask(access, 'POST', configMaps, { metadata: { name: 'kept' }, data: { a: 'b' } });
      else expect(JSON.parse(await ask(access, 'GET', `${configMaps}/kept`))).toMatchObject({ data: { a: 'b' } });
      running.kill('SIGINT');
      const { code, ms } = await running.ended;
      expect(code).toBe(0);
      expect(ms).toBeLessThan(3_000);
      expect(processesWith(stateDir)).toEqual([]);
    }
  }, 120_000);
});
