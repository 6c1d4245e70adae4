import { pathParameter, queryOf, type Endpoint } from '../endpoint.ts';
import { existingPod, specOf, type PodSource } from '../pod-source.ts';
import { lacking, Refusal } from '../refusal.ts';

/**
 * `/checkpoint/{namespace}/{pod}/{container}`: refused like a kubelet does while there is something wrong with the
 * request (`checkpoint` of pkg/kubelet/server/server.go), and then because no provider can write one.
 */
export function checkpoint(pods: PodSource, provider: { readonly name: string }): Endpoint {
  return {
    patterns: ['/checkpoint', '/checkpoint/'],
    paths: ['/checkpoint/:namespace/:pod/:container'],
    methods: {
      POST(req) {
        const pod = existingPod(pods, pathParameter(req, 'namespace'), pathParameter(req, 'pod'));
        const container = pathParameter(req, 'container');
        if (specOf(pod, container) === undefined) throw new Refusal(404, `container ${container} does not exist`);
        const timeout = queryOf(req).getAll('timeout').at(-1) ?? '0';
        if (!/^[+-]?\d{1,18}$/.test(timeout)) throw new Refusal(404, 'cannot parse value of timeout parameter');
        throw lacking(provider.name, 'checkpoint');
      },
    },
  };
}
