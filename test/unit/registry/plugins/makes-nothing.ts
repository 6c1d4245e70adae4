export const provider = {
  apiVersion: 'anylet/v1alpha1',
  kind: 'PodProvider',
  configSchema: { parse: (input: unknown) => input },
  create: async () => undefined,
};
