export const provider = {
  apiVersion: 'anylet/v1alpha1',
  kind: 'Toaster',
  configSchema: { parse: (input: unknown) => input },
  create: async () => ({}),
};
