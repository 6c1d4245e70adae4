import type { AnyObject } from './cluster-objects.ts';
import type { ControllerContext } from './controller.ts';
import { controllerReference, type Owner } from './pod-control.ts';

/**
 * The objects of a kind that `owner` controls: it adopts those that nobody controls and that `selects` holds of, and
 * releases its own that it does not hold of any more. Follows pkg/controller/controller_ref_manager.go.
 */
export function claim<T extends AnyObject>(
  { objects }: ControllerContext,
  owner: Owner,
  kind: string,
  selects: (object: T) => boolean,
): T[] {
  const { uid, namespace = '', deletionTimestamp } = owner.metadata;
  const claimed: T[] = [];
  for (const object of objects.controlledBy<T>(kind, uid)) {
    if (selects(object)) claimed.push(object);
    else if (deletionTimestamp === undefined) release(object);
  }
  if (deletionTimestamp !== undefined) return claimed;
  for (const object of objects.uncontrolled<T>(kind, namespace)) {
    if (object.metadata.deletionTimestamp === undefined && selects(object)) claimed.push(adopt(object));
  }
  return claimed;

  function release(object: T): void {
    const ownerReferences = (object.metadata.ownerReferences ?? []).filter((reference) => reference.uid !== uid);
    objects.update(object, { metadata: { ...object.metadata, ownerReferences } } as Partial<T>);
  }

  function adopt(object: T): T {
    const others = (object.metadata.ownerReferences ?? []).filter((reference) => reference.uid !== uid);
    const ownerReferences = [...others, controllerReference(owner)];
    return objects.update(object, { metadata: { ...object.metadata, ownerReferences } } as Partial<T>);
  }
}
