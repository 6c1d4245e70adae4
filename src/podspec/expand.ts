/**
 * Replaces `$(NAME)` by what `lookup` says, and leaves it as it stands where `lookup` says nothing. `$$` is one
 * dollar sign, so `$$(NAME)` becomes `$(NAME)`; a dollar sign before anything else stands for itself.
 * Follows third_party/forked/golang/expansion/expand.go.
 */
export function expand(text: string, lookup: (name: string) => string | undefined): string {
  return text.replace(/\$(?:\$|\(([^)]*)\))/g, (whole, name: string | undefined) =>
    name === undefined ? '$' : (lookup(name) ?? whole),
  );
}
