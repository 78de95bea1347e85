// UDP over IPv4. Loaded when first asked for: most processes never need it.

import { InfinitError } from '../../base/errors.ts';
import type { Datagrams } from '../runtime.ts';
import { findRouter } from './router.ts';

/** A message that went through a router cannot come with it (RFC 6762 section 11). */
const groupTimeToLive = 255;

export const systemDatagrams: Datagrams = {
  router: findRouter,
  async open({ port, group }) {
    const { createSocket } = await import('node:dgram');
    const socket = createSocket({ type: 'udp4', reuseAddr: group !== undefined });
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once('error', reject);
        socket.bind({ port, exclusive: true }, resolve);
      });
      if (group) {
        socket.addMembership(group.address, group.by);
        socket.setMulticastInterface(group.by);
        socket.setMulticastTTL(groupTimeToLive);
      }
    } catch (error) {
      socket.close();
      const { code, message } = error as NodeJS.ErrnoException;
      throw new InfinitError(code === 'EADDRINUSE' ? 'exists' : 'unavailable', `UDP port ${port}: ${message}`);
    }
    socket.removeAllListeners('error');
    socket.on('error', () => {}); // of single messages: they are lost
    let closed = false;
    return {
      port: socket.address().port,
      send: (bytes, to) => {
        if (!closed) socket.send(bytes, to.port, to.host, () => {});
      },
      onMessage: (receive) =>
        void socket.on('message', (bytes, { address: host, port: from }) => receive(bytes, { host, port: from })),
      close: () => {
        if (!closed) socket.close();
        closed = true;
      },
    };
  },
};
