import type { Pod } from '../core/objects.ts';
import type { PodResolver } from '../providers/contract.ts';
import { expandCommand } from './command.ts';
import { asConfigError } from './container-waiting.ts';
import { containerOf } from './containers.ts';
import { containerEnvironment } from './environment.ts';
import type { PodSources } from './sources.ts';
import { volumeContent } from './volume-content.ts';

/**
 * Answers what a pod's spec refers to. `pod` is asked at each call, since labels and annotations change while a pod
 * lives; nothing is kept from one call to the next.
 */
export function createPodResolver(pod: () => Pod, sources: PodSources): PodResolver {
  return {
    async container(name, podIPs) {
      try {
        const subject = { pod: pod(), container: containerOf(pod(), name), podIPs };
        const env = await containerEnvironment(subject, sources);
        const { workingDir } = subject.container;
        return { env, ...expandCommand(subject.container, env), ...(workingDir === undefined ? {} : { workingDir }) };
      } catch (err) {
        throw asConfigError(err);
      }
    },
    volume: (name) => volumeContent(pod(), name, sources),
  };
}
