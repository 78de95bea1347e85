// Whether the router of this machine would forward a port to it, and by which protocols. Only `--upnp-tcp-port` makes it forward one, for
// a moment.

import { isError } from '../../base/errors.ts';
import { nonceBytes } from '../port-mapping/pcp-message.ts';
import { portProtocols } from '../port-mapping/port-mapper.ts';
import { isOwnRouter, type PortProtocol } from '../port-mapping/protocol.ts';
import { Upnp } from '../port-mapping/upnp.ts';
import { type Finding, type Surroundings, sound, suspicious } from './doctor.ts';

const lifetimeMs = 60_000;

export async function portMapping({ context, upnpTcpPort }: Surroundings): Promise<Finding[]> {
  const { runtime } = context;
  const router = await runtime.datagrams.router();
  if (router === undefined || !isOwnRouter(router)) return [];
  const protocols = portProtocols({ runtime, router, nonce: runtime.random.bytes(nonceBytes) });
  const trying = upnpTcpPort === undefined ? [] : [tryPort(new Upnp({ runtime, router }), upnpTcpPort)];
  const answers = (await Promise.all(protocols.map(answerOf))).flat();
  const tried = await Promise.all(trying);
  if (answers.length > 0) return [...answers, ...tried];
  const hint = 'forward a port by hand, and give --port and --advertise-host; or let other nodes carry';
  return [sound(router.address, { reason: 'this router forwards no ports when it is asked', hint }), ...tried];
}

/** Nothing where it does not speak that, or not with us. */
async function answerOf(protocol: PortProtocol): Promise<Finding[]> {
  const { name } = protocol;
  try {
    const external = await protocol.externalAddress();
    const reason = external === undefined ? 'the router speaks it' : `the router says that others see ${external}`;
    return [sound(name, { reason, hint: 'infinit network run --port-mapping asks for a port by it' })];
  } catch (error) {
    if (isError(error, 'corrupt')) return [suspicious(name, error.message)];
    if (!isError(error)) throw error;
    return [];
  }
}

async function tryPort(upnp: Upnp, port: number): Promise<Finding> {
  const name = `TCP port ${port}`;
  try {
    const external = await upnp.externalAddress();
    const own = { port, external: { host: external, port }, lifetimeMs };
    if (await upnp.holds(own)) return sound(name, { reason: 'it is forwarded to this machine already' });
    const mapping = await upnp.map({ port, externalPort: port, lifetimeMs });
    await upnp.unmap(mapping);
    return sound(name, { reason: `the router forwards it from ${external}:${mapping.external.port}` });
  } catch (error) {
    if (!isError(error)) throw error;
    return suspicious(name, `it cannot be forwarded by UPnP: ${error.message}`);
  }
}
