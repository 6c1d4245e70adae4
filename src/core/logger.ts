/** Fields beside a static message. Never secrets, tokens or environment values. */
export type LogFields = Readonly<Record<string, unknown>>;

/**
 * What every room logs through. error = somebody must act; warn = it will be retried; info = lifecycle;
 * debug = per event. Messages are static, values go into `fields`.
 */
export interface Logger {
  error(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  debug(message: string, fields?: LogFields): void;
  /** A logger whose every line carries these fields too. */
  with(fields: LogFields): Logger;
}

/** A logger that says nothing. */
export const silentLogger: Logger = {
  error() {},
  warn() {},
  info() {},
  debug() {},
  with: () => silentLogger,
};
