import type { LogFields, Logger } from '../../../src/core/logger.ts';

/** Keeps the lines it is given, as `level message`. */
export class RecordingLogger implements Logger {
  readonly lines: string[] = [];

  error(message: string, _fields?: LogFields): void {
    this.lines.push(`error ${message}`);
  }
  warn(message: string): void {
    this.lines.push(`warn ${message}`);
  }
  info(message: string): void {
    this.lines.push(`info ${message}`);
  }
  debug(message: string): void {
    this.lines.push(`debug ${message}`);
  }
  with(): Logger {
    return this;
  }

  at(level: 'error' | 'warn' | 'info' | 'debug'): string[] {
    return this.lines.filter((line) => line.startsWith(`${level} `));
  }
}
