import type { PodProviderPlugin } from '../contract.ts';
import { configSchema } from './config.ts';
import type { SimulatedConfig } from './config.ts';
import { SimulatedProvider } from './simulated-provider.ts';

/** Pods that run nowhere: for trying out a cluster, for load, and as the smallest whole provider. */
export const provider: PodProviderPlugin<SimulatedConfig> = {
  apiVersion: 'anylet/v1alpha1',
  kind: 'PodProvider',
  configSchema,
  create: async (config, context) => new SimulatedProvider(config, context),
};
