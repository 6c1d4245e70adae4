/** What the author of a provider plugin tests it with: `import { podProviderConformance } from 'anylet/testing'`. */
export { CollectedEvents } from './collected-events.ts';
export type { ConformanceCase } from './conformance-case.ts';
export { containerRuntimeConformance } from './container-runtime-conformance.ts';
export type { ContainerRuntimeSubject } from './container-runtime-conformance.ts';
export { FakeClock } from './fake-clock.ts';
export { MemoryLogger } from './memory-logger.ts';
export type { LogLine } from './memory-logger.ts';
export { podProviderConformance } from './pod-provider-conformance.ts';
export type { PodProviderSubject } from './pod-provider-conformance.ts';
export { literalResolver, testPod } from './pods.ts';
export { providerContext } from './provider-context.ts';
export type { RecordedEvent } from './provider-context.ts';
