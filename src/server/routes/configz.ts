import type { Endpoint } from '../endpoint.ts';

/** `/configz`: what this node was configured with, in the kubelet's words (`k8s.io/component-base/configz`). */
export function configz(configuration: object): Endpoint {
  return {
    patterns: ['/configz'],
    paths: ['/configz'],
    methods: (_req, res) => {
      res.setHeader('Content-Type', 'application/json');
      res.setHeader('X-Content-Type-Options', 'nosniff');
      res.end(JSON.stringify({ kubeletconfig: configuration }));
    },
  };
}
