/**
 * `@peculiar/x509` needs three functions of the Reflect metadata proposal when it is imported. They are put in place
 * here unless a polyfill was loaded before; import this file first.
 */
const metadata = new WeakMap<object, Map<unknown, unknown>>();

function defineMetadata(key: unknown, value: unknown, target: object): void {
  const own = metadata.get(target) ?? new Map<unknown, unknown>();
  metadata.set(target, own.set(key, value));
}

function getOwnMetadata(key: unknown, target: object): unknown {
  return metadata.get(target)?.get(key);
}

/** Looks along the prototype chain, as the proposal does. */
function getMetadata(key: unknown, target: object): unknown {
  let owner: object | null = target;
  while (owner !== null && metadata.get(owner)?.has(key) !== true)
    owner = Object.getPrototypeOf(owner) as object | null;
  return owner === null ? undefined : getOwnMetadata(key, owner);
}

if (!('getMetadata' in Reflect)) Object.assign(Reflect, { defineMetadata, getOwnMetadata, getMetadata });
