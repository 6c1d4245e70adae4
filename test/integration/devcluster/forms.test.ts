/** The forms in which requests may come and answers may go, beside plain JSON. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Agent, request } from 'undici';

import { useDevCluster } from '../../helpers/dev-cluster.ts';

const cluster = useDevCluster({ scheduler: false });
const configMaps = '/api/v1/namespaces/default/configmaps';
let agent: Agent;

beforeAll(async () => {
  const { certPem, keyPem } = await cluster().clientCertificate('kubernetes-admin', ['system:masters']);
  agent = new Agent({ allowH2: false, connect: { ca: cluster().caPem, cert: certPem, key: keyPem } });
});

afterAll(() => agent.close());

interface Answer {
  readonly code: number;
  readonly type: string;
  readonly text: string;
  readonly json: Record<string, unknown> & { items?: unknown; message?: string };
}

async function ask(
  method: string,
  path: string,
  headers: Record<string, string>,
  body?: string | Buffer,
): Promise<Answer> {
  const {
    statusCode,
    headers: answered,
    body: stream,
  } = await request(`${cluster().url}${path}`, {
    method: method as 'GET',
    dispatcher: agent,
    headers,
    ...(body !== undefined && { body }),
  });
  const text = await stream.text();
  const type = String(answered['content-type']);
  return { code: statusCode, type, text, json: text.startsWith('{') ? (JSON.parse(text) as Answer['json']) : {} };
}

const as = (kind: string) => ({ accept: `application/json;as=${kind};v=v1;g=meta.k8s.io` });

describe('bodies', () => {
  it('may be protobuf, answered in JSON, as kubectl create has it', async () => {
    const secret = Buffer.from('azhzAAoMCgJ2MRIGU2VjcmV0Eh0KEQoBcxIAGgAiACoAMgA4AEIAEgYKAWESAWIaABoAIgA=', 'base64');
    const type = 'application/vnd.kubernetes.protobuf';
    const headers = { 'content-type': type, accept: `${type},application/json` };
    const { code, type: answered, json } = await ask('POST', '/api/v1/namespaces/default/secrets', headers, secret);
    expect([code, answered, json['data'], json['type']]).toEqual([201, 'application/json', { a: 'Yg==' }, 'Opaque']);
  });

  it('may be YAML, in the words of YAML 1.1', async () => {
    const body =
      'kind: ConfigMap\napiVersion: v1\nmetadata: {name: yaml}\nimmutable: yes\ndata: {date: 2026-01-01, time: "12:30"}';
    const { code, json } = await ask('POST', configMaps, { 'content-type': 'application/yaml' }, body);
    expect([code, json['immutable'], json['data']]).toEqual([201, true, { date: '2026-01-01', time: '12:30' }]);
  });

  it.each(['application/cbor', 'text/plain'])('may not be %s', async (type) => {
    const { code, json } = await ask('POST', configMaps, { 'content-type': type }, '{}');
    expect(code).toBe(415);
    expect(json.message).toBe(
      'the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf',
    );
  });

  it('are warned of for a repeated key in YAML, or refused', async () => {
    const body = 'metadata:\n  name: twice\n  name: thrice\n';
    const headers = { 'content-type': 'application/yaml' };
    const { code, json } = await ask('POST', `${configMaps}?fieldValidation=Strict`, headers, body);
    expect(code).toBe(400);
    expect(json.message).toContain(
      'strict decoding error: yaml: unmarshal errors:\n  line 3: key "name" already set in map',
    );
  });
});

describe('answers', () => {
  const path = `${configMaps}/kube-root-ca.crt`;

  it('may be metadata alone', async () => {
    const one = await ask('GET', path, as('PartialObjectMetadata'));
    expect(one.json).toMatchObject({ kind: 'PartialObjectMetadata', metadata: { name: 'kube-root-ca.crt' } });
    expect(one.json['data']).toBeUndefined();
    const all = await ask('GET', '/api/v1/nodes', as('PartialObjectMetadataList'));
    expect(all.json).toMatchObject({ kind: 'PartialObjectMetadataList', apiVersion: 'meta.k8s.io/v1', items: null });
  });

  it('may be a Table with or without the objects', async () => {
    const rows = async (include: string) =>
      (await ask('GET', `${path}?includeObject=${include}`, as('Table'))).json['rows'] as { object: unknown }[];
    expect((await rows('None'))[0]?.object).toBeNull();
    expect((await rows('Metadata'))[0]?.object).toMatchObject({ kind: 'PartialObjectMetadata' });
    expect((await rows('Object'))[0]?.object).toMatchObject({ kind: 'ConfigMap' });
    expect((await ask('GET', `${path}?includeObject=Some`, as('Table'))).code).toBe(400);
  });

  it('may be YAML', async () => {
    const { code, type, text } = await ask('GET', `${configMaps}/nope`, { accept: 'application/yaml' });
    expect([code, type]).toEqual([404, 'application/yaml']);
    expect(text).toBe(
      'apiVersion: v1\ncode: 404\ndetails:\n  kind: configmaps\n  name: nope\nkind: Status\nmessage: configmaps "nope" not found\nmetadata: {}\nreason: NotFound\nstatus: Failure\n',
    );
  });

  it('are refused in a form that the answer cannot have', async () => {
    expect((await ask('GET', configMaps, as('PartialObjectMetadata'))).json.message).toBe(
      'you requested PartialObjectMetadata, but the requested object is a list (*core.ConfigMapList)',
    );
    expect((await ask('GET', path, as('PartialObjectMetadataList'))).code).toBe(406);
    expect((await ask('GET', path, { accept: 'application/vnd.kubernetes.protobuf' })).code).toBe(406);
  });
});

describe('what the server says about itself', () => {
  it('comes at once for who asks so', async () => {
    const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
    const { type, json } = await ask('GET', '/apis', { accept: `${accept},application/json` });
    expect(type).toBe(accept);
    const apps = (json.items as { metadata: { name?: string }; versions: { resources: object[] }[] }[])[0];
    expect(apps?.metadata.name).toBe('apps');
    expect(apps?.versions[0]?.resources).toContainEqual(
      expect.objectContaining({
        resource: 'deployments',
        scope: 'Namespaced',
        subresources: expect.arrayContaining([
          {
            subresource: 'scale',
            responseKind: { group: 'autoscaling', version: 'v1', kind: 'Scale' },
            verbs: ['get', 'patch', 'update'],
          },
        ]),
      }),
    );
  });

  it('describes every type that it refers to', async () => {
    const { json: index } = await ask('GET', '/openapi/v3', {});
    for (const { serverRelativeURL } of Object.values(
      index['paths'] as Record<string, { serverRelativeURL: string }>,
    )) {
      const { text, json } = await ask('GET', serverRelativeURL, {});
      const { schemas } = json['components'] as { schemas: Record<string, unknown> };
      const referred = new Set(
        [...text.matchAll(/"#\/components\/schemas\/([^"]+)"/g)].map(([, name]) => name as string),
      );
      expect([...referred].filter((name) => !(name in schemas))).toEqual([]);
    }
  });

  it('tells clients how lists merge and which kinds there are', async () => {
    const { json } = await ask('GET', '/openapi/v3/api/v1', {});
    const { schemas } = json['components'] as { schemas: Record<string, { properties: Record<string, object> }> };
    expect(schemas['io.k8s.api.core.v1.PodSpec']?.properties['containers']).toMatchObject({
      type: 'array',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['name'],
      'x-kubernetes-patch-strategy': 'merge',
      items: { allOf: [{ $ref: '#/components/schemas/io.k8s.api.core.v1.Container' }] },
    });
    expect(schemas['io.k8s.api.core.v1.Pod']).toMatchObject({
      'x-kubernetes-group-version-kind': [{ group: '', version: 'v1', kind: 'Pod' }],
    });
    expect((await ask('GET', '/openapi/v3/apis/nope/v1', {})).code).toBe(404);
    expect((await ask('GET', '/openapi/v2', {})).json['swagger']).toBe('2.0');
  });
});

describe('server-side apply over HTTP', () => {
  const headers = { 'content-type': 'application/apply-patch+yaml' };
  const body = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: applied}\ndata: {a: "1"}';

  it('creates, then conflicts, then forces', async () => {
    const path = `${configMaps}/applied?fieldManager=`;
    expect((await ask('PATCH', `${path}one`, headers, body)).code).toBe(201);
    const other = body.replace('"1"', '"2"');
    expect((await ask('PATCH', `${path}two`, headers, other)).code).toBe(409);
    expect((await ask('PATCH', `${path}two&force=true`, headers, other)).code).toBe(200);
  });

  it('must name its manager; other patches may not be forced', async () => {
    expect((await ask('PATCH', `${configMaps}/applied`, headers, body)).json.message).toContain(
      'fieldManager: Required value',
    );
    const merge = { 'content-type': 'application/merge-patch+json' };
    expect((await ask('PATCH', `${configMaps}/kube-root-ca.crt?force=true`, merge, '{}')).json.message).toContain(
      'force: Forbidden',
    );
  });

  it('needs the right to create what is not there', async () => {
    const { certPem, keyPem } = await cluster().clientCertificate('patcher');
    cluster().objects.create({
      kind: 'Role',
      metadata: { name: 'patch' },
      rules: [{ apiGroups: [''], resources: ['configmaps'], verbs: ['patch'] }],
    });
    cluster().objects.create({
      kind: 'RoleBinding',
      metadata: { name: 'patch' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'patch' },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'patcher' }],
    });
    const patcher = new Agent({ allowH2: false, connect: { ca: cluster().caPem, cert: certPem, key: keyPem } });
    const url = `${cluster().url}${configMaps}/another?fieldManager=one`;
    const config = body.replace('applied', 'another');
    const { statusCode, body: answer } = await request(url, {
      method: 'PATCH',
      dispatcher: patcher,
      headers,
      body: config,
    });
    expect([statusCode, await answer.text()]).toEqual([403, expect.stringContaining('cannot create resource')]);
    await patcher.close();
  });
});
