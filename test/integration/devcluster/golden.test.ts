/**
 * The embedded API server against the recorded answers of a real one: `test/golden/api-server`, made by
 * `scripts/record-api-golden.ts`. What is not as recorded yet stands in `golden-known.ts`, and nowhere else.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { replayEmbedded } from './golden-embedded.ts';
import { knownDifferences } from './golden-known.ts';
import type { Differences } from './golden-replay.ts';
import { goldenTopics, readTopic } from './golden-topic.ts';

const topics = goldenTopics();
const steps = topics.flatMap((topic) => readTopic(topic).steps.map(({ name }) => `${topic}/${name}`));
const known = Object.values(knownDifferences).flat();

describe('the recorded table', () => {
  it('has an answer to every request, and no name twice', () => {
    const unanswered = topics.flatMap((topic) =>
      readTopic(topic).steps.filter(({ response }) => response === undefined),
    );
    expect(unanswered).toEqual([]);
    expect(new Set(steps).size).toBe(steps.length);
  });

  it('has what is known to be different, once', () => {
    expect(known.filter((id) => !steps.includes(id))).toEqual([]);
    expect(known.filter((id, i) => known.indexOf(id) !== i)).toEqual([]);
  });

  afterAll(() => {
    process.stderr.write(
      `golden: ${steps.length - known.length} of ${steps.length} as recorded, ${known.length} known\n`,
    );
  });
});

describe.each(topics)('the embedded API server answers as recorded: %s', (topic) => {
  let found: Differences;

  beforeAll(async () => {
    found = await replayEmbedded(topic);
  }, 60_000);

  it.each(readTopic(topic).steps.map(({ name }) => name))('%s', (name) => {
    const different = found.get(name);
    if (!known.includes(`${topic}/${name}`)) expect(different).toEqual([]);
    else if (different?.length === 0) throw new Error('this is as recorded now: remove it from golden-known.ts');
  });
});
