import { serveRemoteCommand } from '../../streaming/index.ts';
import { pathParameter, queryOf, type Endpoint, type Handler } from '../endpoint.ts';
import { existingPod, runningInstance } from '../pod-source.ts';
import { lacking, Refusal } from '../refusal.ts';
import { takeOver } from '../upgrade.ts';
import { wantedStreams, type StreamingRouteOptions } from './remote-command.ts';

/** `/exec/{namespace}/{pod}[/{uid}]/{container}`: a command beside the container's main process, over SPDY or WebSocket. */
export function exec({ pods, provider, streaming }: StreamingRouteOptions): Endpoint {
  const handle: Handler = async (req, res) => {
    const query = queryOf(req);
    const wanted = wantedStreams(query);
    const pod = existingPod(pods, pathParameter(req, 'namespace'), pathParameter(req, 'pod'));
    const container = pathParameter(req, 'container');
    const target = runningInstance(pod, pathParameter(req, 'uid'), container);
    if (target === undefined) throw new Refusal(500, `container not found (${JSON.stringify(container)})`);
    if (provider.exec === undefined) throw lacking(provider.name, 'exec');

    const command = query.getAll('command');
    const runCommand = provider.exec.bind(provider);
    await takeOver(req, res, (upgrade) => {
      return serveRemoteCommand(upgrade, wanted, (streams) => runCommand(target, { ...streams, command }), streaming);
    });
  };
  return {
    patterns: ['/exec', '/exec/'],
    paths: ['/exec/:namespace/:pod/:container', '/exec/:namespace/:pod/:uid/:container'],
    methods: { GET: handle, POST: handle },
  };
}
