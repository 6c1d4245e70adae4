/** Puts a recorded topic to the embedded API server. */
import { startDevCluster } from '../../../src/devcluster/index.ts';
import { GoldenClient, type GoldenServer, type Patience } from './golden-client.ts';
import { replay, type Differences } from './golden-replay.ts';
import { readTopic } from './golden-topic.ts';

/** For a server whose caches do not lag behind. */
const promptServer: Patience = { quietMs: 500, settleMs: 0, eventuallyMs: 0 };

/** Replays a topic on an embedded cluster of its own, in which nothing changes objects behind the requests' backs. */
export async function replayEmbedded(topic: string): Promise<Differences> {
  const cluster = await startDevCluster({ scheduler: false });
  const server: GoldenServer = {
    url: cluster.url,
    caPem: cluster.caPem,
    certificate: (user, groups) => cluster.clientCertificate(user, groups),
  };
  try {
    const client = new GoldenClient(server, promptServer);
    try {
      await client.furnish(readTopic(topic).namespaces);
    } finally {
      await client.close();
    }
    // The real one had forgotten too what was before the first request.
    cluster.compact();
    return await replay(topic, server, promptServer);
  } finally {
    await cluster.stop();
  }
}
