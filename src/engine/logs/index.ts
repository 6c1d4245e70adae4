export type { LogSource } from './log-reader.ts';
export { readContainerLog } from './read-container-log.ts';
