/** Puts a recorded topic to a server and says where it answers differently. */
import { GoldenClient, type GoldenServer, type Patience } from './golden-client.ts';
import { Comparison } from './golden-placeholders.ts';
import { readTopic } from './golden-topic.ts';

/** For each step of a topic, by name, what is different from the recording; nothing when it is as recorded. */
export type Differences = ReadonlyMap<string, readonly string[]>;

/** Replays a topic on a server that has the namespaces of the topic. */
export async function replay(topic: string, server: GoldenServer, patience: Patience): Promise<Differences> {
  const client = new GoldenClient(server, patience);
  const comparison = new Comparison();
  const differences = new Map<string, readonly string[]>();
  try {
    for (const step of readTopic(topic).steps) {
      const { response: expected } = step;
      try {
        const events = Array.isArray(expected?.body) && !expected.ended ? expected.body.length : undefined;
        differences.set(step.name, comparison.differences(expected, await client.ask(step, events)));
      } catch (error) {
        differences.set(step.name, [error instanceof Error ? error.message : String(error)]);
      }
    }
  } finally {
    await client.close();
  }
  return differences;
}
