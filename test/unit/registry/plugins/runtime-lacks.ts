export const provider = {
  apiVersion: 'anylet/v1alpha1',
  kind: 'ContainerRuntime',
  configSchema: { parse: (input: unknown) => input },
  create: async () => ({ name: 'lacking', async close() {} }),
};
