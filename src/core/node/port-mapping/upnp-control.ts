// Calls of a router by HTTP: its description, and actions of the service that maps ports. Nothing else is fetched: every address is the
// router's own, as a number, and answers are small and in time.

import { utf8 } from '../../base/bytes.ts';
import { InfinitError, isError } from '../../base/errors.ts';
import { corruptAnswer, type ProtocolParts } from './protocol.ts';
import { elementsOf, parseXml, textOf, type XmlElement } from './xml.ts';

const answerBytesMax = 128 * 1024;
const timeoutMs = 3000;
const isMapping = /^urn:schemas-upnp-org:service:(?:WANIPConnection|WANPPPConnection):([12])$/;

export interface UpnpService {
  readonly type: string;
  readonly version: number;
  readonly url: URL;
}

/** What an action answered, by names of its arguments. Throws `corrupt` for one that is not there. */
export type Answer = (name: string) => string;

export class UpnpControl {
  private readonly parts: ProtocolParts;

  constructor(parts: ProtocolParts) {
    this.parts = parts;
  }

  /** The address as such, when it is one of this router. */
  place(text: string, base?: URL): URL | undefined {
    if (!URL.canParse(text, base?.href)) return undefined;
    const url = new URL(text, base);
    const isSane = url.protocol === 'http:' && url.hostname === this.parts.router.address;
    return isSane && url.username === '' && url.password === '' ? url : undefined;
  }

  /** The first of its services that maps ports. Throws `unavailable` when it has none. */
  async describe(location: URL): Promise<UpnpService> {
    const { status, root } = await this.fetch('GET', location);
    if (status !== 200 || root === undefined) throw corruptAnswer(`status ${status} instead of its description`);
    const base = this.place(textOf(root, 'URLBase') || location.href) ?? location;
    for (const service of elementsOf(root, 'service')) {
      const type = textOf(service, 'serviceType') ?? '';
      const [, version] = isMapping.exec(type) ?? [];
      const url = version && this.place(textOf(service, 'controlURL') ?? '', base);
      if (url) return { type, version: Number(version), url };
    }
    throw new InfinitError('unavailable', 'the router maps no ports by UPnP');
  }

  /** Throws `denied` with what `upnpFault` reads. */
  async call({ type, url }: UpnpService, action: string, words: Readonly<Record<string, string>>): Promise<Answer> {
    const headers = { 'Content-Type': 'text/xml; charset="utf-8"', SOAPAction: `"${type}#${action}"` };
    const { status, root } = await this.fetch('POST', url, { headers, body: envelope(type, action, words) });
    const code = textOf(root, 'errorCode');
    if (code !== undefined) throw new UpnpRefusal(Number(code), textOf(root, 'errorDescription'));
    const [answer] = root === undefined ? [] : elementsOf(root, `${action}Response`);
    if (status !== 200 || answer === undefined) throw corruptAnswer(`status ${status} instead of an answer`);
    return (name) => {
      const text = textOf(answer, name);
      if (text === undefined) throw corruptAnswer(`${action} without ${name}`);
      return text;
    };
  }

  private async fetch(
    method: string,
    url: URL,
    { headers = {}, body }: { headers?: Record<string, string>; body?: string } = {},
  ): Promise<{ status: number; root: XmlElement | undefined }> {
    try {
      const answer = await this.parts.runtime.http.request({
        ...{ method, url: url.href, timeoutMs, responseBytesMax: answerBytesMax },
        headers: { ...headers, Connection: 'close' },
        ...(body !== undefined && { body: [utf8(body)] }),
      });
      const text = answer.body.toString('utf8');
      return { status: answer.status, root: text.includes('<') ? parseXml(text) : undefined };
    } catch (error) {
      if (isError(error, 'full')) throw corruptAnswer('it is too long');
      throw error;
    }
  }
}

class UpnpRefusal extends InfinitError {
  readonly code: number;

  constructor(code: number, reason: string | undefined) {
    const shown = (reason ?? '').replace(/[^ -~]/g, '').slice(0, 100);
    super('denied', `the router refuses: ${shown === '' ? 'error' : shown} (${code})`);
    this.code = code;
  }
}

/** The number of a refusal. */
export function upnpFault(error: unknown): number | undefined {
  return error instanceof UpnpRefusal ? error.code : undefined;
}

/** Names and values are our own: addresses, numbers, words. */
function envelope(type: string, action: string, words: Readonly<Record<string, string>>): string {
  const inner = Object.entries(words).map(([name, value]) => `<${name}>${value}</${name}>`);
  return [
    '<?xml version="1.0"?>',
    '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/">',
    `<s:Body><u:${action} xmlns:u="${type}">${inner.join('')}</u:${action}></s:Body></s:Envelope>`,
  ].join('\r\n');
}
