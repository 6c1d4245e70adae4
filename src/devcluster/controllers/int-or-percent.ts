/**
 * A number, or a share of `total` such as `25%`. Undefined when it is neither
 * (GetScaledValueFromIntOrPercent in k8s.io/apimachinery/pkg/util/intstr/intstr.go).
 */
export function scaledValue(
  value: number | string | undefined,
  total: number,
  round: 'up' | 'down',
): number | undefined {
  if (typeof value === 'number') return value;
  const percent = /^(\d+)%$/.exec(value ?? '')?.[1];
  if (percent === undefined) return undefined;
  const share = (Number(percent) * total) / 100;
  return round === 'up' ? Math.ceil(share) : Math.floor(share);
}
