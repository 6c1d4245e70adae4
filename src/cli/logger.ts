/**
 * The one place that knows winston. It lives with the command line, for only a command decides where the daemon's
 * words go; everything else gets a {@link Logger}.
 */
import winston from 'winston';

import type { LogFields, Logger } from '../core/logger.ts';

export interface LoggerOptions {
  readonly level: 'error' | 'warn' | 'info' | 'debug';
  readonly format: 'json' | 'text';
  /** Colour for levels, in text. */
  readonly colour: boolean;
  readonly stream: NodeJS.WritableStream;
}

/** A logger that writes one line per message to `stream`. */
export function createLogger({ level, format, colour, stream }: LoggerOptions): Logger {
  const line = winston.format.printf(format === 'json' ? asJson : (info) => asText(info, colour));
  return adapt(
    winston.createLogger({ level, format: line, transports: [new winston.transports.Stream({ stream })] }),
    {},
  );
}

function adapt(logger: winston.Logger, common: LogFields): Logger {
  const at = (level: LoggerOptions['level']) => (message: string, fields?: LogFields) => {
    // Made only for a line that is written: debug lines are many.
    if (logger.isLevelEnabled(level))
      logger.log({ level, message, time: new Date(), fields: { ...common, ...fields } });
  };
  return {
    error: at('error'),
    warn: at('warn'),
    info: at('info'),
    debug: at('debug'),
    with: (fields) => adapt(logger, { ...common, ...fields }),
  };
}

function asJson({ level, message, time, fields }: winston.Logform.TransformableInfo): string {
  const { time: _time, level: _level, msg: _msg, ...rest } = plain(fields as LogFields);
  return JSON.stringify({ time, level, msg: message, ...rest });
}

function asText({ level, message, time, fields }: winston.Logform.TransformableInfo, colour: boolean): string {
  const stack = (fields as LogFields)['stack'];
  const rest = Object.entries(plain(fields as LogFields))
    .filter(([key]) => key !== 'stack')
    .map(
      ([key, value]) =>
        ` ${key}=${typeof value === 'string' && /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value)}`,
    )
    .join('');
  const name = level.toUpperCase().padEnd(5);
  const shown = colour ? `\u001B[${colours[level] ?? 0}m${name}\u001B[0m` : name;
  const trace = typeof stack === 'string' ? `\n${stack}` : '';
  return `${(time as Date).toISOString()} ${shown} ${String(message)}${rest}${trace}`;
}

const colours: Readonly<Record<string, number>> = { error: 31, warn: 33, info: 32, debug: 90 };

/** Fields as JSON can say them: an error is its message, what is undefined is left out. */
function plain(fields: LogFields): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields)
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => {
        if (value instanceof Error) return [key, value.message];
        return [key, typeof value === 'bigint' ? value.toString() : value];
      }),
  );
}
