import { describe, expect, it } from '@jest/globals';
import { jsonSchema, settings } from '../../../src/config/index.ts';

describe('settings', () => {
  it('gives every setting a flag, a variable and a description, each once', () => {
    expect(new Set(settings.map(({ flag }) => flag)).size).toBe(settings.length);
    for (const { flag, variable, description } of settings) {
      expect(variable).toBe(`ANYLET_${flag.toUpperCase().replaceAll('-', '_')}`);
      expect(description).not.toBe('');
    }
  });

  it('names flags as the kubelet does', () => {
    const flags = settings.map(({ flag }) => flag);
    expect(flags).toEqual(
      expect.arrayContaining(
        'kubeconfig node-name node-ip provider listen-address listen-port client-ca-file tls-cert-file tls-private-key-file state-dir takeover log-level log-format'.split(
          ' ',
        ),
      ),
    );
  });

  it('prints a JSON Schema that closes every object and knows every section', () => {
    const schema = jsonSchema() as {
      additionalProperties: boolean;
      properties: Record<string, { additionalProperties: unknown }>;
    };
    expect(schema.additionalProperties).toBe(false);
    expect(Object.keys(schema.properties).toSorted()).toEqual(
      [...new Set(settings.map(({ path }) => path[0] ?? ''))].toSorted(),
    );
    expect(schema.properties['kubelet']?.additionalProperties).toBe(false);
  });
});
