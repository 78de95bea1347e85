// Chord: the default overlay. Storage nodes take places on the ring, clients look on.

import type { OverlayKind } from '../overlay.ts';
import { ChordClient } from './client.ts';
import { ChordStorage } from './storage.ts';

export const chord: OverlayKind = {
  name: 'chord',
  open: (context) => {
    const self = context.self();
    return self ? new ChordStorage(context, self) : new ChordClient(context);
  },
};
