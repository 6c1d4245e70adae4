import type { Endpoint } from '../endpoint.ts';
import { Refusal } from '../refusal.ts';

/**
 * Endpoints of the kubelet that this node does not serve. They are known, so that who asks is checked first, and say
 * so: those that a kubelet's configuration can switch off in the kubelet's own words, the others as 501.
 */
export function unsupported(): Endpoint[] {
  const exact = [
    '/metrics',
    '/metrics/cadvisor',
    '/metrics/resource',
    '/metrics/probes',
    '/metrics/slis',
    '/statusz',
    '/flagz',
  ];
  return [
    ...exact.map((path) => answering([path], [path], notServed(path))),
    answering(['/stats/'], ['/stats', '/stats/summary'], notServed('/stats/summary')),
    answering(['/configz', '/configz/'], ['/configz'], notServed('/configz')),
    answering(['/checkpoint', '/checkpoint/'], ['/checkpoint/:namespace/:pod/:container'], notServed('/checkpoint')),
    answering(['/logs/'], ['/logs', '/logs/*path'], new Refusal(405, 'logs endpoint is disabled.')),
    answering(['/debug/flags/v'], ['/debug/flags/v'], new Refusal(405, 'flags endpoint is disabled.')),
    answering(
      ['/debug/pprof', '/debug/pprof/'],
      ['/debug/pprof', '/debug/pprof/*path'],
      new Refusal(405, 'profiling endpoint is disabled.'),
    ),
  ];
}

function notServed(path: string): Refusal {
  return new Refusal(501, `${path} is not served by this node`);
}

function answering(patterns: readonly string[], paths: readonly string[], refusal: Refusal): Endpoint {
  const methods = () => {
    throw refusal;
  };
  return { patterns, paths, methods };
}
