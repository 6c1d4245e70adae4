export const provider = {
  apiVersion: 'anylet/v2',
  kind: 'PodProvider',
  configSchema: { parse: (input: unknown) => input },
  create: async () => ({}),
};
