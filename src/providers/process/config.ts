import { z } from 'zod';

/** `provider.config` of the process runtime. */
export const configSchema = z.strictObject({
  /**
   * How far a container is kept from the node. `none`: a plain host process; `auto`: the strongest that this
   * version has, which is `none`.
   */
  isolation: z.enum(['auto', 'none']).default('auto'),
  /**
   * Where the service variables of the API server point to: `direct`, the address that the daemon itself uses, or
   * `clusterIP`, which only works where something on the node routes it.
   */
  apiServerAddress: z.enum(['direct', 'clusterIP']).default('direct'),
});

export type ProcessConfig = z.infer<typeof configSchema>;
