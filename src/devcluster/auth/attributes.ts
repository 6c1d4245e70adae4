import type { Requirement } from '../selectors.ts';

/** What a request does, as authorization sees it (k8s.io/apiserver/pkg/authorization/authorizer). */
export type Attributes =
  | {
      readonly verb: string;
      readonly group: string;
      readonly version?: string;
      readonly resource: string;
      readonly subresource?: string | undefined;
      readonly namespace?: string | undefined;
      readonly name?: string | undefined;
      readonly fields?: readonly Requirement[];
    }
  | { readonly verb: string; readonly path: string };
