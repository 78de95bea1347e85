// Kouncil: everybody knows everybody, one hop to any address; for networks of up to some thousand nodes that are mostly there.
// Storage nodes keep and spread the table of all node records, clients keep a copy of it.

import type { OverlayKind } from '../overlay.ts';
import { KouncilClient } from './client.ts';
import { KouncilStorage } from './storage.ts';

export const kouncil: OverlayKind = {
  name: 'kouncil',
  open: (context) => {
    const self = context.self();
    return self ? new KouncilStorage(context, self) : new KouncilClient(context);
  },
};
