import { existsSync } from 'node:fs';
import { join } from 'node:path';

export interface DevFacts {
  readonly kubeconfig: string;
  readonly nodeName: string;
  readonly provider: string;
  /** The folder of the control plane's programs; absent: the embedded one. */
  readonly programs: string | undefined;
  readonly seconds: number;
  readonly keep: boolean;
  /** Whether kubectl is on the PATH. */
  readonly hasKubectl: boolean;
}

/** What a person needs who has just started it: at most a dozen lines. */
export function introduction({ kubeconfig, keep, hasKubectl, ...facts }: DevFacts): string {
  return [
    `Ready in ${facts.seconds.toFixed(1)} s: ${whatItIs(facts)}`,
    '',
    `  export KUBECONFIG=${shellWord(kubeconfig)}`,
    "  kubectl run hello --image=busybox --command -- sh -c 'while :; do date; sleep 1; done'",
    '  kubectl logs -f hello',
    '  kubectl exec -it hello -- sh',
    '',
    'Services do not route here: there is no proxy.',
    ...(hasKubectl
      ? []
      : ['There is no kubectl on your PATH: get it from https://kubernetes.io/docs/tasks/tools/, or try --demo.']),
    `Ctrl-C stops everything, pods included; ${keep ? 'the objects are there again at the next --keep.' : '--keep keeps the objects for the next start.'}`,
    '',
  ].join('\n');
}

/** One line for what has been started, and what it is for. */
export function whatItIs({
  nodeName,
  provider,
  programs,
}: Pick<DevFacts, 'nodeName' | 'provider' | 'programs'>): string {
  const api = programs === undefined ? 'a Kubernetes API in memory' : `the Kubernetes API of ${programs}`;
  return `${api} and node ${nodeName} (${provider}): loopback only, one user, to develop and test.`;
}

/** Whether a program of this name lies in a folder of the PATH. */
export function isOnPath(program: string, path = ''): boolean {
  return path.split(':').some((folder) => folder !== '' && existsSync(join(folder, program)));
}

function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
