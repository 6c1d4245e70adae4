import { describe, expect, it } from '@jest/globals';

import { playMutation } from './spdy-mutation.ts';

/** Enough to take a second or two; `scripts/fuzz-spdy.ts` plays for as long as one likes. */
const mutations = 1500;

describe('a SPDY connection whose peer sends damaged frames', () => {
  it('ends with a code and leaves nothing behind', async () => {
    const outcomes = new Set<string>();
    for (let seed = 0; seed < mutations; seed++) {
      try {
        outcomes.add(await playMutation(seed));
      } catch (error) {
        throw new Error(`seed ${seed}`, { cause: error });
      }
    }
    expect([...outcomes].sort()).toEqual(['broken off', 'closed in order', 'refused']);
  });
});
