import { readFileSync } from 'node:fs';

import { expect, it } from '@jest/globals';
import { parse } from 'yaml';

import { jsonSchema } from '../../../src/config/index.ts';

interface Schema {
  properties: Record<string, Schema | false>;
  [keyword: string]: unknown;
}

const chart = new URL('../../../charts/anylet/', import.meta.url);
const read = (file: string) => readFileSync(new URL(file, chart), 'utf8');

/** What the chart's templates set, and its values may not. */
const setByChart = [
  ['kubeconfig'],
  ['stateDir'],
  ['node', 'name'],
  ['node', 'ip'],
  ['kubelet', 'listenAddress'],
  ['kubelet', 'listenPort'],
  ['kubelet', 'healthzAddress'],
  ['kubelet', 'healthzPort'],
];

it('the values below `config` are the settings of the daemon, but for those that the chart sets', () => {
  const { title: _title, $schema: _draft, ...settings } = jsonSchema() as Schema;
  for (const path of setByChart) {
    let below: Schema = settings;
    for (const key of path.slice(0, -1)) below = below.properties[key] as Schema;
    expect(Object.keys(below.properties)).toContain(path.at(-1));
    below.properties[path.at(-1) ?? ''] = false;
  }
  const { properties } = JSON.parse(read('values.schema.json')) as Schema;
  // When it fails: charts/anylet/values.schema.json, properties.config, is to be what is received here.
  expect(settings).toEqual(properties['config']);
});

it('every value has a default, so that values.yaml shows all there is', () => {
  const { properties } = JSON.parse(read('values.schema.json')) as Schema;
  expect(Object.keys(parse(read('values.yaml')) as object).toSorted()).toEqual(
    Object.keys(properties)
      .filter((name) => name !== 'global')
      .toSorted(),
  );
});

it('the chart has the version of the package, which is the tag of its image', () => {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', chart), 'utf8')) as { version: string };
  expect(parse(read('Chart.yaml'))).toMatchObject({ version, appVersion: version });
});
