import { serveRemoteCommand } from '../../streaming/index.ts';
import { pathParameter, queryOf, type Endpoint, type Handler } from '../endpoint.ts';
import { existingPod, runningInstance, specOf } from '../pod-source.ts';
import { lacking, Refusal } from '../refusal.ts';
import { takeOver } from '../upgrade.ts';
import { wantedStreams, type StreamingRouteOptions } from './remote-command.ts';

/**
 * `/attach/{namespace}/{pod}[/{uid}]/{container}`: the streams of the container's own main process. Whether there is
 * a terminal is said by the container's spec, not by the request (`getAttach` in `pkg/kubelet/server/server.go`).
 */
export function attach({ pods, provider, streaming }: StreamingRouteOptions): Endpoint {
  const handle: Handler = async (req, res) => {
    const asked = wantedStreams(queryOf(req));
    const namespace = pathParameter(req, 'namespace');
    const name = pathParameter(req, 'pod');
    const container = pathParameter(req, 'container');
    const pod = existingPod(pods, namespace, name);
    const target = runningInstance(pod, pathParameter(req, 'uid'), container);
    if (target === undefined) throw new Refusal(500, `container ${container} not found in pod ${name}_${namespace}`);
    if (provider.attach === undefined) throw lacking(provider.name, 'attach');

    const wanted = { ...asked, tty: specOf(pod, container)?.tty === true };
    const join = provider.attach.bind(provider);
    await takeOver(req, res, (upgrade) => {
      return serveRemoteCommand(upgrade, wanted, (streams) => join(target, streams), {
        ...streaming,
        activity: 'attaching to container',
      });
    });
  };
  return {
    patterns: ['/attach', '/attach/'],
    paths: ['/attach/:namespace/:pod/:container', '/attach/:namespace/:pod/:uid/:container'],
    methods: { GET: handle, POST: handle },
  };
}
