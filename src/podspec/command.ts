import type { Container, EphemeralContainer } from '../core/objects.ts';
import { expand } from './expand.ts';

/**
 * A container's command and arguments with `$(NAME)` replaced from its own environment. The image's environment does
 * not count, and an unknown name stays as written. Empty lists where the spec has none: the image's then apply.
 */
export function expandCommand(
  container: Pick<Container | EphemeralContainer, 'command' | 'args'>,
  env: Readonly<Record<string, string>>,
): { readonly command: readonly string[]; readonly args: readonly string[] } {
  const lookup = (name: string) => (Object.hasOwn(env, name) ? env[name] : undefined);
  return {
    command: (container.command ?? []).map((word) => expand(word, lookup)),
    args: (container.args ?? []).map((word) => expand(word, lookup)),
  };
}
