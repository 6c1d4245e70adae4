/**
 * Kubernetes' rules for names and values, as far as settings need them.
 * Follows staging/src/k8s.io/apimachinery/pkg/util/validation/validation.go and pkg/api/resource/quantity.go.
 */

const label = '[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?';

/** A DNS-1123 subdomain: names of Nodes and most other objects. */
export const subdomain = new RegExp(`^${label}(\\.${label})*$`);

/** An optional DNS prefix and a name: keys of labels and taints, names of resources. */
export const qualifiedName = new RegExp(`^(${label}(\\.${label})*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$`);

/** Values of labels and taints. */
export const labelValue = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;

/** A resource quantity that is not negative. */
export const quantity = /^\+?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+|[KMGTPE]i|[numkMGTPE])?$/;
