import type { Endpoint } from '../endpoint.ts';
import { goError } from '../refusal.ts';

/**
 * What a kubelet's configuration can switch off, and is off here: the files of the host (`enableSystemLogHandler`)
 * are none of a virtual node's, the Go runtime (`enableProfilingHandler`) is not there, and the log level
 * (`enableDebugFlagsHandler`) is not changed from outside.
 */
export function disabled(): Endpoint[] {
  return [
    answering(['/logs/'], ['/logs', '/logs/*path'], 'logs endpoint is disabled.'),
    answering(['/debug/flags/v'], ['/debug/flags/v'], 'flags endpoint is disabled.'),
    answering(['/debug/pprof/'], ['/debug/pprof', '/debug/pprof/*path'], 'profiling endpoint is disabled.'),
  ];
}

function answering(patterns: readonly string[], paths: readonly string[], text: string): Endpoint {
  const methods = () => {
    throw goError(405, text);
  };
  return { patterns, paths, methods };
}
