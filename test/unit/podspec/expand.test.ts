import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { expandCommand } from '../../../src/podspec/command.ts';
import { expand } from '../../../src/podspec/expand.ts';

const known: Readonly<Record<string, string>> = { A: 'a', B: 'b', EMPTY: '', REF: '$(A)' };
const lookup = (name: string) => (Object.hasOwn(known, name) ? known[name] : undefined);

describe('expand', () => {
  it.each([
    ['$(A)', 'a'],
    ['x$(A)y$(B)z', 'xaybz'],
    ['$(A)$(A)', 'aa'],
    ['$(EMPTY)', ''],
    ['$(REF)', '$(A)'],
    ['$(NOPE)', '$(NOPE)'],
    ['$$(A)', '$(A)'],
    ['$$$(A)', '$a'],
    ['$$$$(A)', '$$(A)'],
    ['$A', '$A'],
    ['$', '$'],
    ['$$', '$'],
    ['a$', 'a$'],
    ['$(A', '$(A'],
    ['$(A$$', '$(A$'],
    ['$()', '$()'],
    ['$((A)', '$((A)'],
    ['$($(A))', '$($(A))'],
    ['${A}', '${A}'],
    ['$(A)$(', 'a$('],
    ['\n$(A)\n', '\na\n'],
    ['$(constructor)', '$(constructor)'],
  ])('%j becomes %j', (text, expanded) => {
    expect(expand(text, lookup)).toBe(expanded);
  });

  it('leaves a text without dollar signs alone', () => {
    fc.assert(fc.property(fc.string(), (text) => text.includes('$') || expand(text, lookup) === text));
  });

  it('undoes a doubling of every dollar sign', () => {
    fc.assert(fc.property(fc.string(), (text) => expand(text.replaceAll('$', '$$$$'), lookup) === text));
  });
});

describe('expandCommand', () => {
  it('expands command and arguments from the environment', () => {
    expect(expandCommand({ command: ['$(A)', '$(X)'], args: ['-$(B)-'] }, known)).toEqual({
      command: ['a', '$(X)'],
      args: ['-b-'],
    });
  });

  it('is empty where the spec is', () => {
    expect(expandCommand({}, known)).toEqual({ command: [], args: [] });
  });
});
