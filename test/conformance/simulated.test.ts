import { describe, it } from '@jest/globals';
import { provider } from '../../src/providers/simulated/index.ts';
import { podProviderConformance, providerContext } from '../../src/testing/index.ts';

describe('the simulated provider keeps the contract: it', () => {
  const create = () => provider.create(provider.configSchema.parse({}), providerContext());
  for (const { name, run } of podProviderConformance({ create })) it(name, run);
});
