import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';

import type { Setting } from '../config/index.ts';

/** Gives a command a flag for each of these settings. */
export function addSettings(command: Command, settings: readonly Setting[]): void {
  for (const setting of settings) for (const option of optionsOf(setting)) command.addOption(option);
}

/** What was given of them, by the flags' names. */
export function settingFlags(
  command: Command,
  settings: readonly Setting[],
): Record<string, string | boolean | undefined> {
  const given = command.opts<Record<string, string | boolean | undefined>>();
  return Object.fromEntries(settings.map(({ flag }) => [flag, given[camelCase(flag)]]));
}

function optionsOf({ flag, kind, description }: Setting): Option[] {
  if (kind === 'boolean') return [new Option(`--${flag}`, description), new Option(`--no-${flag}`).hideHelp()];
  const placeholder = { text: 'value', number: 'number', list: 'a,b', map: 'a=1,b=2' }[kind];
  return [new Option(`--${flag} <${placeholder}>`, description).argParser(once(flag))];
}

/** The last of several would win silently; for lists and maps that is hardly meant. */
function once(flag: string): (value: string, previous: string | undefined) => string {
  return (value, previous) => {
    if (previous !== undefined) throw new InvalidArgumentError(`--${flag} is given twice.`);
    return value;
  };
}

function camelCase(flag: string): string {
  return flag.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
