import type { ApiObject, DraftObject } from '../api-object.ts';
import type { User } from '../auth/user.ts';
import type { Kind } from '../kinds/kind.ts';

/** A write that is about to happen, as admission sees it (k8s.io/apiserver/pkg/admission). */
export interface AdmissionRequest {
  readonly operation: 'CREATE' | 'UPDATE' | 'DELETE';
  readonly kind: Kind;
  readonly subresource: string | undefined;
  readonly namespace: string | undefined;
  readonly name: string;
  /** What will be stored; absent for DELETE. */
  readonly object: ApiObject | DraftObject | undefined;
  /** What is stored; absent for CREATE. */
  readonly previous: ApiObject | undefined;
  /** Who asks; absent when it is the control plane itself. */
  readonly user: User | undefined;
  readonly dryRun: boolean;
}

/** Refuses a write by throwing an `ApiError`. */
export interface AdmissionPlugin {
  /** Called before the object is completed and validated. */
  admit?(request: AdmissionRequest): void;
  /** Called when the object is valid, right before it is stored. */
  validate?(request: AdmissionRequest): void;
}
