// Messages of the Simple Service Discovery Protocol, as far as a router that maps ports is looked for by them.

import { utf8 } from '../../base/bytes.ts';
import { corruptAnswer } from './protocol.ts';

export const ssdpGroup = { host: '239.255.255.250', port: 1900 };
const kinds = [1, 2].map((version) => `urn:schemas-upnp-org:device:InternetGatewayDevice:${version}`);
const messageBytesMax = 4096;
const linesMax = 64;

/** One for each kind of router. Answers come within a second. */
export function encodeSearches(): Buffer[] {
  return kinds.map((kind) =>
    utf8(
      [
        'M-SEARCH * HTTP/1.1',
        `HOST: ${ssdpGroup.host}:${ssdpGroup.port}`,
        'MAN: "ssdp:discover"',
        'MX: 1',
        `ST: ${kind}`,
        ...['', ''],
      ].join('\r\n'),
    ),
  );
}

/** Where the router that answers with it describes itself; `undefined` for an answer of something else. Throws `corrupt`. */
export function decodeLocation(bytes: Buffer): string | undefined {
  if (bytes.length > messageBytesMax) throw corruptAnswer('it is too long');
  const [first = '', ...lines] = bytes.toString('latin1').split('\r\n', linesMax);
  if (!first.startsWith('HTTP/1.1 200')) throw corruptAnswer('not an answer to a search');
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(':');
    if (colon > 0) headers.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim());
  }
  return kinds.includes(headers.get('st') ?? '') ? headers.get('location') : undefined;
}
