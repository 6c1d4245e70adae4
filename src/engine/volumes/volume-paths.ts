import { join } from 'node:path';

import { invalidInput } from '../../core/errors.ts';

const safeName = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

/** Mode of the folders that lead to a volume: to be passed through, not to be looked into. */
export const parentMode = 0o711;

/** The kubelet's layout: `<state>/pods/<uid>/volumes/kubernetes.io~<plugin>/<volume>`. */
export const volumePaths = {
  pod: (stateDir: string, uid: string) => join(stateDir, 'pods', element(uid)),
  volumes: (stateDir: string, uid: string) => join(volumePaths.pod(stateDir, uid), 'volumes'),
  /** The folders from `stateDir` down to the volume, outermost first; the volume itself is the last. */
  chain(stateDir: string, uid: string, plugin: string, volume: string): { parents: readonly string[]; path: string } {
    const pod = volumePaths.pod(stateDir, uid);
    const volumes = join(pod, 'volumes');
    const ofPlugin = join(volumes, `kubernetes.io~${plugin}`);
    return { parents: [join(stateDir, 'pods'), pod, volumes, ofPlugin], path: join(ofPlugin, element(volume)) };
  },
};

/** A UID or volume name as one element of a path; anything else is refused, for it would lead elsewhere. */
function element(name: string): string {
  if (!safeName.test(name)) throw invalidInput(`"${name}" cannot be part of a path`);
  return name;
}
