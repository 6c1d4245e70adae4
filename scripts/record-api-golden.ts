// The golden table of the API server, test/golden/api-server/<topic>.json. All topics, or those that are named:
//   node scripts/record-api-golden.ts             puts the requests to a real control plane and writes its answers
//   node scripts/record-api-golden.ts --check     puts them to a real one and says what is not as recorded
//   node scripts/record-api-golden.ts --embedded  puts them to the embedded one and says what is not as recorded;
//                                                 what has become so is taken out of golden-known.ts
import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startControlPlane, type ControlPlane } from '../test/e2e/control-plane/index.ts';
import { GoldenClient, type GoldenServer, type Patience } from '../test/integration/devcluster/golden-client.ts';
import { knownDifferences } from '../test/integration/devcluster/golden-known.ts';
import { Redactor } from '../test/integration/devcluster/golden-placeholders.ts';
import { replay, type Differences } from '../test/integration/devcluster/golden-replay.ts';
import { goldenTopics, readTopic, writeTopic, type GoldenStep } from '../test/integration/devcluster/golden-topic.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { check: { type: 'boolean' }, embedded: { type: 'boolean' } },
});
const topics = positionals.length > 0 ? positionals : goldenTopics();
const realServer: Patience = { quietMs: 600, settleMs: 500, eventuallyMs: 5_000 };
/** So that the first versions are compacted when somebody asks for them; a watch or a list page lives longer. */
const compactionIntervalSeconds = 4;

if (values.embedded) await checkEmbedded();
else await withRealServer(values.check ? check : record);

async function withRealServer(use: (topic: string, server: GoldenServer) => Promise<void>): Promise<void> {
  const controlPlane = await startControlPlane({
    apiServerArgs: [`--etcd-compaction-interval=${compactionIntervalSeconds}s`],
  });
  try {
    const server: GoldenServer = {
      url: controlPlane.server,
      caPem: controlPlane.caPem,
      certificate: (commonName, organizations) => controlPlane.ca.issue({ commonName, organizations, usage: 'client' }),
    };
    await prepare(server, controlPlane);
    for (const topic of topics) await use(topic, server);
  } finally {
    await controlPlane.stop();
  }
}

/** Nothing may change the objects behind the requests' backs: what namespaces need is made first, then all stops. */
async function prepare(server: GoldenServer, controlPlane: ControlPlane): Promise<void> {
  const client = new GoldenClient(server, realServer);
  await client.furnish(topics.flatMap((topic) => readTopic(topic).namespaces));
  await client.close();
  const { components } = controlPlane;
  await Promise.all([components.scheduler.stop(), components.controllerManager.stop()]);
  // An API server that starts now remembers nothing of what was: so there are versions that are too old for a watch.
  await components.apiServer.stop();
  await components.apiServer.start();
  await controlPlane.ready();
  await delay(2 * compactionIntervalSeconds * 1000);
}

async function record(topic: string, server: GoldenServer): Promise<void> {
  const content = readTopic(topic);
  const client = new GoldenClient(server, realServer);
  const redactor = new Redactor(JSON.stringify(content.steps.map(({ request }) => request)));
  const steps: GoldenStep[] = [];
  for (const step of content.steps) {
    const answer = await client.ask(step);
    steps.push({ ...step, response: { ...answer, body: redactor.redact(answer.body) } });
  }
  await client.close();
  writeTopic(topic, { ...content, steps });
  console.log(`${topic}: ${steps.length} steps recorded`);
}

async function checkEmbedded(): Promise<void> {
  const { replayEmbedded } = await import('../test/integration/devcluster/golden-embedded.ts');
  for (const topic of topics) forgetKnown(topic, report(topic, await replayEmbedded(topic)));
}

async function check(topic: string, server: GoldenServer): Promise<void> {
  const found = report(topic, await replay(topic, server, realServer));
  if ([...found.values()].some((differences) => differences.length > 0)) process.exitCode = 1;
}

function report(topic: string, found: Differences): Differences {
  const different = [...found].filter(([, differences]) => differences.length > 0);
  console.log(`${topic}: ${found.size - different.length} of ${found.size} steps as recorded`);
  for (const [name, lines] of different) console.log(`  ${name}\n    ${lines.slice(0, 8).join('\n    ')}`);
  return found;
}

/** Takes the steps that are as recorded now out of the list of the known differences. */
function forgetKnown(topic: string, found: Differences): void {
  const file = new URL('../test/integration/devcluster/golden-known.ts', import.meta.url);
  const known = new Set(Object.values(knownDifferences).flat());
  let text = readFileSync(file, 'utf8');
  for (const [name, differences] of found) {
    const id = `${topic}/${name}`;
    if (differences.length > 0 || !known.has(id)) continue;
    const quoted = id.includes("'") ? JSON.stringify(id) : `'${id}'`;
    const entry = [`\n    ${quoted},`, `${quoted}, `, `, ${quoted}`, quoted].find((form) => text.includes(form));
    if (entry !== undefined) text = text.replace(entry, '');
    console.log(`${id} is as recorded now`);
  }
  writeFileSync(file, text.replace(/\n  .+: \[\s*\],/g, ''));
}
