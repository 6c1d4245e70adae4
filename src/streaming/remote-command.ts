import { messageOf, timedOut } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { ApiStatus } from '../core/objects.ts';
import type { ExitStatus, RemoteStreams } from '../providers/contract.ts';
import { flushed } from './flushed.ts';
import type { RemoteCommandSession, WantedStreams } from './remote-command-session.ts';
import { openSpdySession } from './spdy/remote-command.ts';
import { exitedStatus, failedStatus } from './status.ts';
import type { SessionActivity } from './status.ts';
import { onAbort, streamingSettings } from './streaming-options.ts';
import type { StreamingOptions } from './streaming-options.ts';
import { terminalSizes } from './terminal-resize.ts';
import { upgradeKind } from './upgrade.ts';
import type { Upgrade } from './upgrade.ts';
import { openWebSocketSession } from './websocket/remote-command.ts';

export interface RemoteCommandOptions extends StreamingOptions {
  /** What a failure says went wrong. Default `executing command in container`. */
  readonly activity?: SessionActivity;
}

/** Runs the command or joins the container; its rejection becomes an `InternalError` status. */
export type RunRemoteCommand = (streams: RemoteStreams) => Promise<ExitStatus | void>;

/** How long the status and the end of the connection may take once all output is out. */
const finishTimeoutMs = 10_000;

/**
 * Serves one exec or attach request, over SPDY (v4 to v1) or WebSocket (v5, v4, v1, base64, none), as the upgrade asks.
 *
 * Rejects with {@link UpgradeRefused} before anything is written; the caller answers with it. After that it never
 * rejects: it calls `run` with the streams, sends all output, then the status, closes, and resolves when `run` has
 * settled and the connection is closed. When the client leaves, `streams.signal` aborts at once.
 */
export async function serveRemoteCommand(
  upgrade: Upgrade,
  want: WantedStreams,
  run: RunRemoteCommand,
  options: RemoteCommandOptions = {},
): Promise<void> {
  const settings = streamingSettings(options);
  const { activity = 'executing command in container' } = options;
  const wanted = { ...want, stderr: want.stderr && !want.tty };
  const session =
    upgradeKind(upgrade.request) === 'websocket'
      ? await openWebSocketSession(upgrade, wanted, settings)
      : await openSpdySession(upgrade, wanted, settings);
  if (session === undefined) return;

  const forget = onAbort(options.signal, (reason) => session.close(reason));
  try {
    const status = await outcome(session, wanted.tty, run, activity, settings.log);
    await Promise.all([flushed(session.stdout), flushed(session.stderr)]);
    const cancelTimeout = settings.clock.after(finishTimeoutMs, () =>
      session.destroy(timedOut('client does not take the status')),
    );
    await session.finish(status);
    cancelTimeout();
  } finally {
    forget();
  }
}

async function outcome(
  session: RemoteCommandSession,
  tty: boolean,
  run: RunRemoteCommand,
  activity: SessionActivity,
  log: Logger,
): Promise<ApiStatus> {
  const { stdin, stdout, stderr, resize } = session;
  // Aborts while the command runs, and never afterwards: that the session ends then is no news to the provider.
  const left = new AbortController();
  const { signal } = left;
  const forget = onAbort(session.signal, (reason) => left.abort(reason));
  try {
    return exitedStatus(
      await run({
        ...(stdin && { stdin }),
        ...(stdout && { stdout }),
        ...(stderr && { stderr }),
        ...(resize && { resize: terminalSizes(resize) }),
        tty,
        signal,
      }),
    );
  } catch (error) {
    if (!signal.aborted) log.warn('remote command failed', { activity, err: messageOf(error) });
    return failedStatus(activity, error);
  } finally {
    forget();
  }
}
