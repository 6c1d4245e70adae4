import { parseDocument, stringify, type YAMLError } from 'yaml';

import type { Json } from '../json.ts';

/** A YAML document as JSON, and what Go's YAML decoder would have said of it. */
export interface ParsedYaml {
  readonly value: Json;
  /** `line 5: key "name" already set in map`, one for each repeated key; the last one counts. */
  readonly repeatedKeys: readonly string[];
}

/** Text that is not YAML, in the words of Go's YAML decoder. */
export class YamlSyntaxError extends Error {}

/** Reads a document as `sigs.k8s.io/yaml` does: YAML 1.1 words for booleans, dates stay text. JSON is YAML too. */
export function parseYaml(text: string): ParsedYaml {
  const document = parseDocument(text, {
    version: '1.1',
    merge: true,
    customTags: (tags) =>
      tags.filter(
        (tag) => typeof tag === 'string' || (tag.tag !== 'tag:yaml.org,2002:timestamp' && tag.format !== 'TIME'),
      ),
  });
  const wrong = document.errors.find(({ code }) => code !== 'DUPLICATE_KEY');
  if (wrong !== undefined) throw new YamlSyntaxError(`yaml: line ${lineOf(wrong)}: did not find expected node content`);
  const repeatedKeys = document.errors.map((error) => {
    const key = text.slice(error.pos[0]).split(':', 1)[0]?.trim() ?? '';
    return `line ${lineOf(error)}: key ${JSON.stringify(key)} already set in map`;
  });
  return { value: (document.toJS() ?? null) as Json, repeatedKeys };
}

/** YAML with its keys in order, as the API server writes it. */
export function yamlText(value: unknown): string {
  return stringify(value, { sortMapEntries: true, lineWidth: 0 });
}

function lineOf(error: YAMLError): number {
  return error.linePos?.[0].line ?? 1;
}
