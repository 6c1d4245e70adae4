/** Records `answers.jsonl` anew from the real control plane: `node test/integration/devcluster/recorded/record.ts`. */
import { readFile, writeFile } from 'node:fs/promises';

import { parse } from 'yaml';

import { startControlPlane } from '../../../e2e/control-plane/index.ts';
import { ask } from './ask.ts';

const controlPlane = await startControlPlane();
try {
  // What they would do to the objects meanwhile is not what is recorded here.
  await controlPlane.components.scheduler.stop();
  await controlPlane.components.controllerManager.stop();
  const { user } =
    (parse(controlPlane.adminKubeconfig) as { users: { user: Record<string, string> }[] }).users[0] ?? {};
  const read = async (name: string) =>
    user?.[`${name}-data`] === undefined
      ? readFile(user?.[name] ?? '', 'utf8')
      : Buffer.from(user[`${name}-data`] ?? '', 'base64').toString();
  const answers = await ask(controlPlane.server, {
    ca: controlPlane.caPem,
    cert: await read('client-certificate'),
    key: await read('client-key'),
  });
  const lines = answers.map((answer) => `${JSON.stringify(answer)}\n`);
  await writeFile(new URL('answers.jsonl', import.meta.url), lines.join(''));
} finally {
  await controlPlane.stop();
}
