import { type ContainerRuntimePlugin, contractVersion } from '../contract.ts';
import { configSchema, type ProcessConfig } from './config.ts';
import { ProcessRuntime } from './runtime.ts';

/** Containers as host processes; see this folder's readme. */
export const provider: ContainerRuntimePlugin<ProcessConfig> = {
  apiVersion: contractVersion,
  kind: 'ContainerRuntime',
  configSchema,
  create: (config, context) => ProcessRuntime.create(config, context),
};
