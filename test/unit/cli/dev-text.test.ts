import { describe, expect, it } from '@jest/globals';

import { showProgress } from '../../../src/cli/dev-progress.ts';
import { introduction, type DevFacts } from '../../../src/cli/dev-text.ts';

const facts: DevFacts = {
  kubeconfig: '/state/kubeconfig',
  nodeName: 'dev',
  provider: 'process',
  programs: undefined,
  seconds: 0.84,
  keep: false,
  hasKubectl: true,
};

describe('what `anylet dev` says when it is ready', () => {
  it('is what a newcomer needs: the kubeconfig, three commands, how to stop', () => {
    const text = introduction(facts);
    expect(text).toMatch(/^Ready in 0\.8 s: a Kubernetes API in memory and node dev \(process\)/);
    expect(text).toContain('\n  export KUBECONFIG=/state/kubeconfig\n');
    expect(text.match(/^ {2}kubectl /gm)).toHaveLength(3);
    expect(text).toContain('Ctrl-C stops everything');
  });

  it('has at most a dozen lines, two steps of the start included', () => {
    const text = introduction({ ...facts, hasKubectl: false, programs: '/programs', keep: true });
    expect(text.trimEnd().split('\n').length).toBeLessThanOrEqual(10);
    expect(text).toContain('the Kubernetes API of /programs');
  });

  it('quotes a path for the shell', () => {
    expect(introduction({ ...facts, kubeconfig: "/it's here/kubeconfig" })).toContain(
      String.raw`export KUBECONFIG='/it'\''s here/kubeconfig'`,
    );
  });
});

describe('the steps of a start', () => {
  function shown(isTTY: boolean): string {
    const written: string[] = [];
    const progress = showProgress({ write: (text) => written.push(text), isTTY });
    progress.step('one');
    progress.step('two');
    progress.done();
    return written.join('');
  }

  it('are plain lines where there is no terminal', () => {
    expect(shown(false)).toBe('one\ntwo\n');
  });

  it('are one line that goes away on a terminal', () => {
    expect(shown(true).split('\r\u001B[2K')).toEqual(['', '⠋ one', '⠙ two', '']);
  });
});
