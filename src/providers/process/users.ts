import { accountOf } from '../../host/accounts.ts';
import type { RunAs } from '../../host/find-program.ts';
import type { ContainerUser, PodRef } from '../contract.ts';
import { containerWaiting } from '../../podspec/container-waiting.ts';

/** Who we are ourselves, and what we may become. */
export interface Self extends RunAs {
  /** Without it only root's user and group can be switched (macOS, or no setpriv). */
  readonly canSetGroups: boolean;
}

export interface ResolvedUser {
  readonly user: RunAs;
  /** The process must be switched to it; otherwise it is what we are. */
  readonly switched: boolean;
  readonly home: string;
}

/**
 * The user, groups and home of a container.
 *
 * As in a container runtime the group of a bare `runAsUser` comes from the password file; a user that is not there
 * gets a group of its own number rather than root's, which on a host is not harmless.
 * @throws ContainerWaiting `CreateContainerConfigError` for what the pod forbids or we cannot do.
 */
export async function resolveUser(
  wanted: ContainerUser,
  self: Self,
  pod: PodRef,
  container: string,
): Promise<ResolvedUser> {
  const uid = wanted.runAsUser ?? self.uid;
  if (wanted.runAsNonRoot === true && uid === 0) {
    const where = `(pod: "${pod.name}_${pod.namespace}(${pod.uid})", container: ${container})`;
    throw containerWaiting(
      'CreateContainerConfigError',
      `container has runAsNonRoot and image will run as root ${where}`,
    );
  }
  const account = await accountOf(uid);
  const home = account?.home ?? '/';
  if (self.uid !== 0) return { user: unswitched(wanted, self), switched: false, home };
  const gid = wanted.runAsGroup ?? account?.gid ?? uid;
  const groups = [
    ...new Set([...(wanted.supplementalGroups ?? []), ...(wanted.fsGroup === undefined ? [] : [wanted.fsGroup])]),
  ];
  if (groups.length > 0 && !self.canSetGroups)
    throw refused('supplementalGroups or fsGroup', 'setpriv of util-linux is missing on this node');
  return { user: { uid, gid, groups }, switched: true, home };
}

/** Without root a container can only be what the node is; asking for exactly that is fine. */
function unswitched(wanted: ContainerUser, self: Self): RunAs {
  const why = `the node runs as user ${self.uid}, not as root`;
  if (wanted.runAsUser !== undefined && wanted.runAsUser !== self.uid)
    throw refused(`runAsUser ${wanted.runAsUser}`, why);
  if (wanted.runAsGroup !== undefined && wanted.runAsGroup !== self.gid)
    throw refused(`runAsGroup ${wanted.runAsGroup}`, why);
  const missing = [
    ...(wanted.supplementalGroups ?? []),
    ...(wanted.fsGroup === undefined ? [] : [wanted.fsGroup]),
  ].find((group) => group !== self.gid && !self.groups.includes(group));
  if (missing !== undefined) throw refused(`group ${missing}`, why);
  return { uid: self.uid, gid: self.gid, groups: self.groups };
}

function refused(what: string, why: string): Error {
  return containerWaiting('CreateContainerConfigError', `cannot run with ${what}: ${why}`);
}
