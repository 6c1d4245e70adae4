/** A node gets tokens for its own pods only. Follows admitServiceAccount in plugin/pkg/admission/noderestriction. */
import { forbidden } from '../api-error.ts';
import { nodeIdentity, type User } from '../auth/user.ts';
import { isJsonObject, type JsonObject } from '../json.ts';
import { asPod } from '../kinds/pod.ts';
import type { ResourceStore } from '../store.ts';

export function checkNodeTokenRequest(
  store: ResourceStore,
  user: User,
  namespace: string,
  account: string,
  body: JsonObject,
): void {
  const node = nodeIdentity(user);
  if (node === undefined) return;
  const refuse = (why: string) => forbidden({ group: '', resource: 'serviceaccounts' }, account, why);
  const { spec } = body;
  const reference = isJsonObject(spec) ? spec['boundObjectRef'] : undefined;
  if (!isJsonObject(reference) || reference['kind'] !== 'Pod' || reference['apiVersion'] !== 'v1' || !reference['name'])
    throw refuse('node requested token not bound to a pod');
  if (!reference['uid']) throw refuse('node requested token with a pod binding without a uid');
  const pod = store.get({ group: '', resource: 'pods' }, namespace, reference['name'] as string);
  if (pod === undefined) throw refuse(`pod ${JSON.stringify(reference['name'])} not found`);
  if (pod.metadata.uid !== reference['uid'])
    throw refuse(
      'the UID in the bound object reference does not match the UID in record. The object might have been deleted and then recreated',
    );
  if (asPod(pod).spec.nodeName !== node)
    throw refuse('node requested token bound to a pod scheduled on a different node');
}
