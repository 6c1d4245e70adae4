import { describe, expect, it } from '@jest/globals';

import { decode } from '../../../src/devcluster/schema/decode.ts';
import { decodeProtobuf } from '../../../src/devcluster/schema/protobuf.ts';

/** What kubectl 1.36 sends for its `create` commands. */
const recorded = {
  deployment:
    'azhzAAoVCgdhcHBzL3YxEgpEZXBsb3ltZW50EqcBChsKAWQSABoAIgAqADIAOABCAFoICgNhcHASAWQSeggCEgoKCAoDYXBwEgFkGmIKGgoAEgAaACIAKgAyADgAQgBaCAoDYXBwEgFkEkQSJgoBeBIBeCoAMgoKABAAGFAiACoAQgBqAHIAgAEAiAEAkAEAogEAGgAyAEIASgBSAFgAYABoAIIBAIoBAJoBAMIBACICCgAoADgAGgwIABAAGAAgACgAOAAaACIA',
  quota:
    'azhzAAoTCgJ2MRINUmVzb3VyY2VRdW90YRI0ChEKAXESABoAIgAqADIAOABCABIdCgoKA2NwdRIDCgExCg8KBm1lbW9yeRIFCgMyR2kaABoAIgA=',
  secret: 'azhzAAoMCgJ2MRIGU2VjcmV0Eh0KEQoBcxIAGgAiACoAMgA4AEIAEgYKAWESAWIaABoAIgA=',
  service:
    'azhzAAoNCgJ2MRIHU2VydmljZRJpCh0KAnN2EgAaACIAKgAyADgAQgBaCQoDYXBwEgJzdhJECh4KBzgwLWh0dHASA1RDUBhQIgoIARAAGgRodHRwKAASCQoDYXBwEgJzdhoAIglDbHVzdGVySVA6AEIAUgBaAGAAaAAaAgoAGgAiAA==',
  tokenRequest:
    'azhzAAooChhhdXRoZW50aWNhdGlvbi5rOHMuaW8vdjESDFRva2VuUmVxdWVzdBIdChAKABIAGgAiACoAMgA4AEIAEgMgkBwaBAoAEgAaACIA',
};

function body(name: keyof typeof recorded) {
  return decodeProtobuf(Buffer.from(recorded[name], 'base64'));
}

/** A message field: bytes, or a number. */
function field(number: number, value: Buffer | string | bigint): Buffer {
  if (typeof value === 'bigint') return Buffer.concat([varint(BigInt(number << 3)), varint(value)]);
  const bytes = Buffer.from(value);
  return Buffer.concat([varint(BigInt((number << 3) | 2)), varint(BigInt(bytes.length)), bytes]);
}

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return Buffer.from([...bytes, Number(rest)]);
}

function message(apiVersion: string, kind: string, ...fields: Buffer[]): Buffer {
  const type = Buffer.concat([field(1, apiVersion), field(2, kind)]);
  return Buffer.concat([Buffer.from('k8s\0'), field(1, type), field(2, Buffer.concat(fields))]);
}

describe('reading protobuf', () => {
  it('reads a Deployment as kubectl sends it', () => {
    expect(decode('Deployment', body('deployment')).value).toMatchObject({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'd', labels: { app: 'd' } },
      spec: {
        replicas: 2,
        selector: { matchLabels: { app: 'd' } },
        template: {
          metadata: { labels: { app: 'd' } },
          spec: { containers: [{ name: 'x', image: 'x', ports: [{ containerPort: 80 }], resources: {} }] },
        },
      },
    });
  });

  it('reads quantities, bytes, ports by name and integers', () => {
    expect(body('quota')).toMatchObject({ spec: { hard: { cpu: '1', memory: '2Gi' } } });
    expect(body('secret')).toMatchObject({ data: { a: Buffer.from('b').toString('base64') } });
    expect(body('service')).toMatchObject({ spec: { ports: [{ port: 80, targetPort: 'http' }] } });
    expect(body('tokenRequest')).toMatchObject({ kind: 'TokenRequest', spec: { expirationSeconds: 3600 } });
  });

  it('reads a message that Go inlines into its owner', () => {
    const volumeSource = field(2, field(6, field(1, 's')));
    const pod = message('v1', 'Pod', field(2, field(1, Buffer.concat([field(1, 'v'), volumeSource]))));
    expect(decodeProtobuf(pod)).toMatchObject({ spec: { volumes: [{ name: 'v', secret: { secretName: 's' } }] } });
  });

  it('reads negative numbers and times', () => {
    const lease = message(
      'coordination.k8s.io/v1',
      'Lease',
      field(
        2,
        Buffer.concat([field(2, -5n), field(4, Buffer.concat([field(1, 1_700_000_000n), field(2, 123_456_000n)]))]),
      ),
    );
    expect(decodeProtobuf(lease)).toMatchObject({
      spec: { leaseDurationSeconds: -5, renewTime: '2023-11-14T22:13:20.123456Z' },
    });
  });

  it('tells the kinds of two groups with one name apart', () => {
    const event = (apiVersion: string, ...fields: Buffer[]) => decodeProtobuf(message(apiVersion, 'Event', ...fields));
    expect(event('v1', field(3, 'why'))).toMatchObject({ reason: 'why' });
    expect(event('events.k8s.io/v1', field(10, 'note'))).toMatchObject({ note: 'note' });
  });

  it('leaves out fields that it does not know', () => {
    expect(decodeProtobuf(message('v1', 'ConfigMap', field(99, 'x'), field(98, 1n)))).toEqual({
      apiVersion: 'v1',
      kind: 'ConfigMap',
    });
  });

  it('keeps a key that is called __proto__ as a key', () => {
    const data = field(2, Buffer.concat([field(1, '__proto__'), field(2, 'x')]));
    const { data: map } = decodeProtobuf(message('v1', 'ConfigMap', data)) as { data: object };
    expect(Object.keys(map)).toEqual(['__proto__']);
  });

  it.each([
    ['no prefix', Buffer.from('{}'), 'expected prefix [107 56 115 0]'],
    ['a length beyond the end', Buffer.concat([Buffer.from('k8s\0'), Buffer.from([10, 200, 1, 0])]), 'unexpected EOF'],
    ['half a number', Buffer.concat([Buffer.from('k8s\0'), Buffer.from([128])]), 'unexpected EOF'],
    ['a number without end', Buffer.concat([Buffer.from('k8s\0'), Buffer.alloc(12, 255)]), 'integer overflow'],
    ['an unknown wire type', Buffer.concat([Buffer.from('k8s\0'), Buffer.from([11])]), 'illegal wireType 3'],
    ['a kind that there is not', message('v1', 'Nope'), 'no kind "Nope" is registered for version "v1"'],
    ['a kind with a name from Object', message('v1', 'constructor'), 'no kind "constructor"'],
  ])('refuses %s', (_, bytes, why) => {
    expect(() => decodeProtobuf(bytes)).toThrow(why);
  });
});
