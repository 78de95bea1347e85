// The router of this host, as the Linux kernel tells it; nothing elsewhere.

import { open } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import type { Router } from '../runtime.ts';

const table = '/proc/net/route';
/** Routes to everywhere stand first. */
const tableBytesMax = 64 * 1024;
const flags = { up: 1, gateway: 2 };

export async function findRouter(): Promise<Router | undefined> {
  const route = defaultRoute(await beginning(table));
  if (route === undefined) return undefined;
  const addresses = (networkInterfaces()[route.name] ?? []).filter(({ family }) => family === 'IPv4');
  const nearby = addresses.find(({ address, netmask }) => within(address, netmask) === within(route.address, netmask));
  const own = (nearby ?? addresses[0])?.address;
  return own === undefined ? undefined : { address: route.address, own };
}

function within(address: string, netmask: string): string {
  const mask = netmask.split('.');
  return address
    .split('.')
    .map((part, i) => Number(part) & Number(mask[i]))
    .join('.');
}

async function beginning(path: string): Promise<string> {
  try {
    const file = await open(path);
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(tableBytesMax), 0, tableBytesMax, 0);
      return buffer.toString('latin1', 0, bytesRead);
    } finally {
      await file.close();
    }
  } catch {
    return ''; // another system, or not for this process
  }
}

/** Of the route to everywhere with the least metric: the interface's name and the router's address. */
export function defaultRoute(text: string): { name: string; address: string } | undefined {
  const routes = text.split('\n').flatMap((line) => {
    const [name = '', to, gateway = '', bits = '', , , metric, mask] = line.trim().split(/\s+/);
    const wanted = flags.up | flags.gateway;
    if (Number(to) !== 0 || Number(mask) !== 0 || (Number.parseInt(bits, 16) & wanted) !== wanted) return [];
    return [{ name, address: addressOf(gateway), metric: Number(metric) }];
  });
  return routes.sort((a, b) => a.metric - b.metric)[0];
}

/** Its four bytes are written as one number of this machine. */
function addressOf(hexadecimal: string): string {
  return [...new Uint8Array(Uint32Array.of(Number.parseInt(hexadecimal, 16)).buffer)].join('.');
}
