export function nodeIsSupported(version?: string): boolean;
export function runOnSupportedNode(args: readonly string[]): void;
