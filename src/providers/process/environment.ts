import { markerVariable } from './belongings.ts';

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export interface EnvironmentFacts {
  readonly env: Readonly<Record<string, string>>;
  readonly tty: boolean;
  readonly hostname: string;
  /** Of the user that the container runs as. */
  readonly home: string;
  readonly mountPoint: string;
}

/**
 * A container's whole environment: PATH, HOSTNAME, HOME and, with a terminal, TERM, which the pod's own values
 * replace; never the daemon's. The mount point is set last, because it also tells the container's processes apart.
 */
export function containerEnvironment(facts: EnvironmentFacts): Readonly<Record<string, string>> {
  const own = Object.entries(facts.env).map(
    ([name, value]) => [name, withMountPoint(value, facts.mountPoint)] as const,
  );
  return {
    PATH: defaultPath,
    HOSTNAME: facts.hostname,
    ...(facts.tty ? { TERM: 'xterm' } : {}),
    HOME: facts.home,
    ...Object.fromEntries(own),
    [markerVariable]: facts.mountPoint,
  };
}

/**
 * `$(CONTAINER_SANDBOX_MOUNT_POINT)` in commands, arguments, values and the working directory. The expansion of
 * `$(VAR)` that Kubernetes does leaves it as it is, since no pod can know the value.
 */
export function withMountPoint(text: string, mountPoint: string): string {
  return text.replaceAll(`$(${markerVariable})`, mountPoint);
}
