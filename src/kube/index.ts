/** Everything said to an API server. */
export { retryAfterOf } from './api-error.ts';
export { patchTypes } from './api.ts';
export type { ApiRequest, KubeApi, Query, StreamRequest, ValueStream } from './api.ts';
export { readClientCa } from './client-ca.ts';
export type { Credentials, TlsMaterial } from './credentials.ts';
export { EventRecorder, nodeSubject, podSubject } from './event-recorder.ts';
export type { EventRecorderOptions, EventSubject } from './event-recorder.ts';
export { KubeClient } from './kube-client.ts';
export type { KubeClientOptions } from './kube-client.ts';
export { listWatch } from './list-watch.ts';
export type {
  ConnectionState,
  DeletedObject,
  ListWatchEvent,
  ListWatchOptions,
  ListWatchTarget,
  WatchedObject,
} from './list-watch.ts';
export { loadCredentials } from './load-credentials.ts';
export type { LoadOptions } from './load-credentials.ts';
export { NodeLease } from './node-lease.ts';
export type { NodeLeaseOptions } from './node-lease.ts';
export { ReferencedObjects } from './referenced-objects.ts';
export type { GetOptions, ReferencedKinds } from './referenced-objects.ts';
export type { RequestRecord } from './request-label.ts';
export { subjectAccessReview, tokenReview } from './reviews.ts';
export type { AccessQuestion, AccessVerdict, ReviewedUser, ReviewOptions, TokenVerdict } from './reviews.ts';
export { ServiceAccountTokens } from './service-account-tokens.ts';
export type { BoundToken, TokenQuestion } from './service-account-tokens.ts';
export { ServiceDirectory } from './service-directory.ts';
export { patchNodeStatus, patchPodStatus, podStatusPatch } from './status-patch.ts';
export { missingPermissions, permissionsSentence } from './permissions.ts';
export type { Permission } from './permissions.ts';
