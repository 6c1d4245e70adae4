/**
 * The part of the Reflect metadata proposal that `@peculiar/x509` expects to find when it is loaded. Must be
 * imported before it. A polyfill that is there already is left alone.
 */
const tables = new WeakMap<object, Map<unknown, unknown>>();

function defineMetadata(key: unknown, value: unknown, target: object): void {
  const table = tables.get(target);
  if (table === undefined) tables.set(target, new Map([[key, value]]));
  else table.set(key, value);
}

function getOwnMetadata(key: unknown, target: object): unknown {
  return tables.get(target)?.get(key);
}

function getMetadata(key: unknown, target: object): unknown {
  if (tables.get(target)?.has(key)) return getOwnMetadata(key, target);
  const parent = Object.getPrototypeOf(target) as object | null;
  return parent === null ? undefined : getMetadata(key, parent);
}

if (!Object.hasOwn(Reflect, 'getMetadata')) Object.assign(Reflect, { defineMetadata, getOwnMetadata, getMetadata });
