/** The kinds that are questions: what is created is answered and not stored. */
import { row, type Kind } from './kind.ts';

const question = (group: string, kind: string, namespaced = false): Kind =>
  row({ group, kind, resource: `${kind.toLowerCase()}s`, namespaced, review: true });

export const reviewKinds: readonly Kind[] = [
  question('authentication.k8s.io', 'TokenReview'),
  question('authentication.k8s.io', 'SelfSubjectReview'),
  question('authorization.k8s.io', 'SubjectAccessReview'),
  question('authorization.k8s.io', 'LocalSubjectAccessReview', true),
  question('authorization.k8s.io', 'SelfSubjectAccessReview'),
  question('authorization.k8s.io', 'SelfSubjectRulesReview'),
];
