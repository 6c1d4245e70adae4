import type { LogFields, Logger } from '../core/logger.ts';

export interface LogLine {
  readonly level: 'error' | 'warn' | 'info' | 'debug';
  readonly message: string;
  readonly fields: LogFields;
}

/** A logger that keeps what it is told, for tests to look at. Loggers made by `with` write to the same lines. */
export class MemoryLogger implements Logger {
  readonly lines: LogLine[];
  readonly #common: LogFields;

  constructor(lines: LogLine[] = [], common: LogFields = {}) {
    this.lines = lines;
    this.#common = common;
  }

  error(message: string, fields?: LogFields): void {
    this.#add('error', message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    this.#add('warn', message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.#add('info', message, fields);
  }

  debug(message: string, fields?: LogFields): void {
    this.#add('debug', message, fields);
  }

  with(fields: LogFields): Logger {
    return new MemoryLogger(this.lines, { ...this.#common, ...fields });
  }

  #add(level: LogLine['level'], message: string, fields: LogFields = {}): void {
    this.lines.push({ level, message, fields: { ...this.#common, ...fields } });
  }
}
