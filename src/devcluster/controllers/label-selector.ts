import { meets } from '../selectors.ts';
import type { Labels, LabelSelector } from './types.ts';

/**
 * True when the labels are selected. No selector selects nothing, an empty one everything
 * (metav1.LabelSelectorAsSelector in k8s.io/apimachinery/pkg/apis/meta/v1/helpers.go).
 */
export function selectsLabels(selector: LabelSelector | undefined, labels: Labels = {}): boolean {
  if (selector === undefined) return false;
  return (
    hasLabels(labels, selector.matchLabels) &&
    (selector.matchExpressions ?? []).every(({ key, operator, values = [] }) =>
      meets({ key, operator, values }, labels[key]),
    )
  );
}

/** True when `labels` has all of `wanted`. */
export function hasLabels(labels: Labels = {}, wanted: Labels = {}): boolean {
  return Object.entries(wanted).every(([key, value]) => labels[key] === value);
}

export function isEmptySelector(selector: LabelSelector | undefined): boolean {
  return (
    selector !== undefined &&
    Object.keys(selector.matchLabels ?? {}).length + (selector.matchExpressions ?? []).length === 0
  );
}
