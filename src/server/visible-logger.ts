import type { LogFields, Logger } from '../core/logger.ts';

const longestText = 1024;

/**
 * A logger whose string fields show control and direction characters as escapes and have a bounded length: paths,
 * user names and error texts come from clients, and a log line is also read on a terminal.
 */
export function visibleLogger(log: Logger): Logger {
  return {
    error: (message, fields) => log.error(message, visibleFields(fields)),
    warn: (message, fields) => log.warn(message, visibleFields(fields)),
    info: (message, fields) => log.info(message, visibleFields(fields)),
    debug: (message, fields) => log.debug(message, visibleFields(fields)),
    with: (fields) => visibleLogger(log.with(visibleFields(fields))),
  };
}

/** The text with whatever would not show as itself written as `\u….` */
export function visible(text: string): string {
  const cut = text.length > longestText ? `${text.slice(0, longestText)}…` : text;
  return cut.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, (character) => {
    return `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`;
  });
}

function visibleFields(fields: LogFields = {}): LogFields {
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [key, typeof value === 'string' ? visible(value) : value]),
  );
}
