import { z } from 'zod';

import { schema } from './schema.ts';

/** The configuration file as JSON Schema, for editors: `# yaml-language-server: $schema=anylet.schema.json`. */
export function jsonSchema(): object {
  return { title: 'anylet configuration', ...z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) };
}
