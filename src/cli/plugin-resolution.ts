import { registerHooks } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** `.ts` in a checkout, `.js` in the package. */
const extension = import.meta.url.slice(-3);
const registry = new URL(`../providers/registry${extension}`, import.meta.url).href;
const own: Readonly<Record<string, string>> = {
  anylet: new URL(`../index${extension}`, import.meta.url).href,
  'anylet/testing': new URL(`../testing/index${extension}`, import.meta.url).href,
};

/**
 * Makes `import 'anylet'` in a plugin mean this very copy, wherever the plugin lies; and a package's name mean the
 * one that is installed in `cwd`, then the one beside anylet. Called once, before the first plugin is loaded. It
 * stays for the life of the process, as plugins may import later.
 */
export function resolvePluginsFrom(cwd: string): void {
  const inCwd = pathToFileURL(join(cwd, 'anylet')).href;
  registerHooks({
    resolve(specifier, context, next) {
      const url = own[specifier];
      if (url !== undefined) return { url, shortCircuit: true };
      const isPackage = context.parentURL === registry && !/^(\.|[a-z]+:)/.test(specifier);
      if (!isPackage) return next(specifier, context);
      try {
        return next(specifier, { ...context, parentURL: inCwd });
      } catch {
        return next(specifier, context);
      }
    },
  });
}
