import type { Duplex } from 'node:stream';

import { headerValues, takeSocket, UpgradeRefused } from '../upgrade.ts';
import type { Upgrade } from '../upgrade.ts';

const protocolHeader = 'X-Stream-Protocol-Version';

/**
 * The first protocol in the client's order that is among `supported`, as `httpstream.Handshake` chooses; the refusals
 * are its own. Nothing is written.
 */
export function negotiateSpdy({ request }: Upgrade, supported: readonly string[]): string {
  const offered = headerValues(request, protocolHeader.toLowerCase());
  if (offered === undefined) {
    // Go keeps Host out of the header map that it counts.
    const count = Object.keys(request.headers).filter((name) => name !== 'host').length;
    throw new UpgradeRefused(
      400,
      `unable to upgrade: header ${protocolHeader} does not exist in request with ${count} headers\n`,
    );
  }
  if (offered.length === 0) {
    const given = String(request.headers[protocolHeader.toLowerCase()]);
    throw new UpgradeRefused(
      400,
      `unable to upgrade: header ${protocolHeader} contains [${given}], but no valid protocols\n`,
    );
  }
  const protocol = offered.find((name) => supported.includes(name));
  if (protocol === undefined) {
    throw new UpgradeRefused(
      403,
      `unable to upgrade: unable to negotiate protocol: client supports [${offered.join(' ')}], server accepts [${supported.join(' ')}]\n`,
      { 'X-Accepted-Stream-Protocol-Versions': supported },
    );
  }
  if (!(request.headers.upgrade ?? '').toLowerCase().includes('spdy/3.1')) {
    throw new UpgradeRefused(400, 'unable to upgrade: missing upgrade headers in request\n');
  }
  return protocol;
}

/** Writes the 101; what follows on the returned transport is SPDY. */
export function acceptSpdy(upgrade: Upgrade, protocol: string): Duplex {
  const transport = takeSocket(upgrade);
  transport.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n${protocolHeader}: ${protocol}\r\n\r\n`,
  );
  return transport;
}
