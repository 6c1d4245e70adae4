import { beforeEach, describe, expect, it, jest } from '@jest/globals';

import { attributesOf } from '../../../src/server/auth/attributes.ts';
import { createAuthorizer, type Authorizer, type ReviewAccess } from '../../../src/server/auth/authorizer.ts';
import type { User } from '../../../src/server/auth/user.ts';
import { FakeClock } from './fake-clock.ts';

const alice: User = { name: 'alice', groups: ['a', 'b'], extra: { scope: ['x'] } };
const [readPods] = attributesOf('GET', '/pods', 'n');

describe('authorization', () => {
  let clock: FakeClock;
  let allowed: jest.Mock<ReviewAccess>;
  let authorizer: Authorizer;
  beforeEach(() => {
    clock = new FakeClock();
    allowed = jest.fn<ReviewAccess>(() => Promise.resolve(true));
    authorizer = createAuthorizer({ allowed, clock, maxEntries: 2 });
  });

  it('a yes is good for 5 minutes', async () => {
    expect(await authorizer.authorize(alice, readPods)).toBe(true);
    clock.advance(299_000);
    await authorizer.authorize(alice, readPods);
    expect(allowed).toHaveBeenCalledTimes(1);
    clock.advance(2000);
    await authorizer.authorize(alice, readPods);
    expect(allowed).toHaveBeenCalledTimes(2);
  });

  it('a no is good for 30 seconds', async () => {
    allowed.mockResolvedValueOnce(false);
    expect(await authorizer.authorize(alice, readPods)).toBe(false);
    clock.advance(29_000);
    expect(await authorizer.authorize(alice, readPods)).toBe(false);
    clock.advance(2000);
    expect(await authorizer.authorize(alice, readPods)).toBe(true);
  });

  it('a review that failed is not remembered', async () => {
    allowed.mockRejectedValueOnce(new Error('gone'));
    await expect(authorizer.authorize(alice, readPods)).rejects.toThrow('gone');
    expect(await authorizer.authorize(alice, readPods)).toBe(true);
  });

  it('what makes a difference to the review is never mixed up', async () => {
    const others: [User, typeof readPods][] = [
      [alice, readPods],
      [{ ...alice, name: 'alic' }, readPods],
      [{ ...alice, uid: '1' }, readPods],
      [{ ...alice, groups: ['ab'] }, readPods],
      [{ ...alice, extra: { scope: ['y'] } }, readPods],
      [alice, { ...readPods, verb: 'create' }],
      [alice, { ...readPods, subresource: 'proxy' }],
    ];
    for (const [user, attributes] of others) await authorizer.authorize(user, attributes);
    expect(allowed).toHaveBeenCalledTimes(others.length);
  });

  it('the number of remembered answers is bounded', async () => {
    for (const name of ['a', 'b', 'c', 'a']) await authorizer.authorize({ name, groups: [] }, readPods);
    expect(allowed).toHaveBeenCalledTimes(4);
  });
});
