/** A PodSpec made concrete. Rooms that need one rule import its file; this is what the daemon puts together. */
export { createPodResolver } from './resolver.ts';
export type { ApiServerAddress } from './service-variables.ts';
export type { PodSources, TokenRequest } from './sources.ts';
