/** The `scale` subresource: a small object over a workload's replicas. Follows pkg/registry/apps. */
import { badRequest, fieldInvalid, goText, invalid } from './api-error.ts';
import type { ApiObject } from './api-object.ts';
import type { WriteOptions } from './draft.ts';
import { isJsonObject, type JsonObject } from './json.ts';
import { apiVersionOf, type Kind } from './kinds/kind.ts';
import type { Registry } from './registry.ts';
import { decode } from './schema/decode.ts';

/** The scale of a workload. */
export function scaleOf(kind: Kind, object: ApiObject): ApiObject {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  const { replicas = 0 } = object['spec'] as { replicas?: number };
  const status = object['status'] as { replicas?: number } | undefined;
  const selector = kind.scale?.selector(object) ?? '';
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp } as ApiObject['metadata'],
    spec: replicas === 0 ? {} : { replicas },
    status: { replicas: status?.replicas ?? 0, ...(selector !== '' && { selector }) },
  };
}

/** Writes the replicas that `make` puts into the scale. */
export function changeScale(
  registry: Registry,
  kind: Kind,
  namespace: string | undefined,
  name: string,
  make: (current: JsonObject) => JsonObject,
  options: WriteOptions,
): ApiObject {
  const { object } = registry.change(
    kind,
    namespace,
    name,
    'scale',
    (current) => {
      const wanted = decode(
        'Scale',
        make(scaleOf(kind, current as unknown as ApiObject) as unknown as JsonObject),
      ).value;
      const metadata = isJsonObject(wanted['metadata']) ? wanted['metadata'] : {};
      if (metadata['name'] !== name)
        throw badRequest(
          `the name of the object (${(metadata['name'] as string | undefined) ?? ''}) does not match the name on the URL (${name})`,
        );
      const spec = isJsonObject(wanted['spec']) ? wanted['spec'] : {};
      const replicas = typeof spec['replicas'] === 'number' ? spec['replicas'] : 0;
      if (replicas < 0)
        throw invalid({ group: 'autoscaling', kind: 'Scale' }, name, [
          fieldInvalid('spec.replicas', replicas, 'must be greater than or equal to 0'),
        ]);
      const { resourceVersion, ...rest } = current['metadata'] as JsonObject;
      const based = metadata['resourceVersion'] ?? resourceVersion;
      return {
        ...current,
        metadata: { ...rest, ...(based !== undefined && { resourceVersion: based }) },
        spec: { ...(current['spec'] as JsonObject), replicas },
      };
    },
    options,
  );
  return scaleOf(kind, object);
}

/** Server-side apply of a scale: the object's replicas become the manager's. */
export function applyScale(
  registry: Registry,
  kind: Kind,
  namespace: string | undefined,
  name: string,
  config: JsonObject,
  options: WriteOptions & { readonly force?: boolean },
): ApiObject {
  if (config['apiVersion'] !== 'autoscaling/v1' || config['kind'] !== 'Scale')
    throw badRequest(
      `invalid object type: ${goText(config['apiVersion'] ?? '/')}, Kind=${goText(config['kind'] ?? '')}`,
    );
  const spec = isJsonObject(config['spec']) ? config['spec'] : {};
  const metadata = { name, ...(namespace !== undefined && { namespace }) };
  const wanted = {
    apiVersion: apiVersionOf(kind),
    kind: kind.kind,
    metadata,
    ...(spec['replicas'] !== undefined && { spec: { replicas: spec['replicas'] } }),
  };
  return scaleOf(kind, registry.apply(kind, namespace, name, 'scale', wanted, options).object);
}
