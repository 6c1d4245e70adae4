export type { Config } from './config.ts';
export { defaultStateDir } from './defaults.ts';
export type { Machine } from './defaults.ts';
export { flagValues, kubeletConfiguration } from './kubelet-configuration.ts';
export { loadConfig } from './load.ts';
export type { ConfigSources, LoadedConfig } from './load.ts';
export { jsonSchema } from './json-schema.ts';
export { settings } from './settings.ts';
export type { Setting } from './settings.ts';
