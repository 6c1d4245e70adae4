export { FailedMountError } from './failed-mount.ts';
export { mountsFor } from './mounts.ts';
export { prepareVolumes, refreshVolumes, type PreparedVolume, type PreparedVolumes } from './prepare-volumes.ts';
export { removeVolumes } from './remove-volumes.ts';
