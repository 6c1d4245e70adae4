import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

import { Agent, request } from 'undici';
import { parse } from 'yaml';

import { unavailable } from '../core/errors.ts';
import type { ApiStatus, Pod } from '../core/objects.ts';
import type { ControlPlane } from '../devcluster/index.ts';
import { openRemoteCommand } from '../streaming/index.ts';

export interface DemoOptions {
  readonly controlPlane: ControlPlane;
  readonly stdout: { write(text: string): unknown };
  readonly signal: AbortSignal;
}

const logLines = 4;
const deadlineMs = 60_000;
const collection = '/api/v1/namespaces/default/pods';

/**
 * What a person would do with kubectl, done as kubectl does it: over TLS with a client certificate, through the API
 * server to the node. Shows each step as the command line that it stands for.
 */
export async function runDemo({ controlPlane, stdout, signal: stopping }: DemoOptions): Promise<void> {
  const { certPem, keyPem } = await controlPlane.clientCertificate('kubernetes-admin', ['system:masters']);
  const tls = { ca: controlPlane.caPem, cert: certPem, key: keyPem };
  const dispatcher = new Agent({ allowH2: false, connect: tls });
  const signal = AbortSignal.any([stopping, AbortSignal.timeout(deadlineMs)]);
  const call = (method: 'GET' | 'POST' | 'DELETE', path: string, body?: object, until = signal) =>
    send(controlPlane.url + path, { method, dispatcher, body, signal: until });
  const say = (line: string) => void stdout.write(`${line}\n`);

  try {
    const file = fileURLToPath(new URL('../../examples/demo.yaml', import.meta.url));
    const manifest = parse(await readFile(file, 'utf8')) as Pod;
    const { name } = manifest.metadata;
    const path = `${collection}/${name}`;

    say('$ kubectl create -f examples/demo.yaml');
    const created = JSON.parse(await text(await call('POST', collection, manifest))) as Pod;
    say(`pod/${name} created`);

    say(`$ kubectl wait --for=condition=Ready pod/${name}`);
    const changes = (since: Pod) =>
      `${collection}?watch=true&fieldSelector=metadata.name%3D${name}&resourceVersion=${since.metadata.resourceVersion}`;
    const ready = await lastOf(await call('GET', changes(created)), ({ object }) => isReady(object));
    say(`pod/${name} condition met`);

    say(`$ kubectl logs -f ${name}`);
    const enough = new AbortController();
    const log = await call('GET', `${path}/log?follow=true`, undefined, AbortSignal.any([signal, enough.signal]));
    let shown = 0;
    for await (const line of lines(log)) {
      say(line);
      if (++shown === logLines) break;
    }
    enough.abort();
    say('^C');

    const command = ['sh', '-c', 'echo "this is a shell in pod $POD on node $NODE"'];
    say(`$ kubectl exec ${name} -- sh -c '${command[2]}'`);
    const query = [...command.map((word) => `command=${encodeURIComponent(word)}`), 'stdout=true', 'stderr=true'];
    const url = new URL(`${controlPlane.url}${path}/exec?${query.join('&')}`);
    const wanted = { stdin: false, stdout: true, stderr: true, tty: false };
    const remote = await openRemoteCommand({ url, tls, transport: 'websocket', signal }, wanted);
    const [out, errors, status] = await Promise.all([
      remote.stdout === undefined ? '' : text(remote.stdout),
      remote.stderr === undefined ? '' : text(remote.stderr),
      remote.status,
    ]);
    await remote.close();
    if (status?.status !== 'Success') throw unavailable(`exec failed: ${status?.message ?? errors}`);
    stdout.write(out + errors);

    say(`$ kubectl delete pod ${name}`);
    await (await call('DELETE', `${path}?gracePeriodSeconds=1`)).dump();
    await lastOf(await call('GET', changes(ready)), ({ type }) => type === 'DELETED');
    say(`pod "${name}" deleted from default namespace`);
  } catch (err) {
    if (signal.aborted && !stopping.aborted) throw unavailable('the demo took longer than a minute', err);
    throw err;
  } finally {
    await dispatcher.destroy();
  }
}

type Body = Awaited<ReturnType<typeof request>>['body'];

async function send(
  url: string,
  {
    method,
    dispatcher,
    body,
    signal,
  }: { method: 'GET' | 'POST' | 'DELETE'; dispatcher: Agent; body: object | undefined; signal: AbortSignal },
): Promise<Body> {
  const answer = await request(url, {
    method,
    dispatcher,
    signal,
    headers: { accept: 'application/json', ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
  });
  if (answer.statusCode >= 300) {
    const said = await answer.body.text();
    throw unavailable(`${method} ${new URL(url).pathname}: ${messageIn(said)}`);
  }
  return answer.body;
}

function messageIn(body: string): string {
  try {
    return (JSON.parse(body) as ApiStatus).message ?? body;
  } catch {
    return body;
  }
}

interface Change {
  readonly type: string;
  readonly object: Pod;
}

/** The object of the first change that `found` accepts; leaves the watch then. */
async function lastOf(body: Body, found: (change: Change) => boolean): Promise<Pod> {
  for await (const line of lines(body)) {
    const change = JSON.parse(line) as Change;
    if (found(change)) return change.object;
  }
  throw unavailable('the API server ended a watch');
}

/** The lines of an answer; leaving early leaves the answer. */
async function* lines(body: Body): AsyncGenerator<string> {
  // Leaving breaks it off, which is no fault.
  body.on('error', () => {});
  let rest = '';
  for await (const chunk of body.setEncoding('utf8') as AsyncIterable<string>) {
    const parts = (rest + chunk).split('\n');
    rest = parts.pop() ?? '';
    yield* parts;
  }
}

function isReady({ status }: Pod): boolean {
  return status?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') === true;
}
