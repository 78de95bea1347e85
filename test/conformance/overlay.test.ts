// The conformance suite of overlays over every kind.

import { overlaySuite } from './overlay.ts';

overlaySuite({ overlay: 'kalimero', nodes: 1 });
overlaySuite({ overlay: 'chord', nodes: 1 });
overlaySuite({ overlay: 'chord', nodes: 3 });
overlaySuite({ overlay: 'chord', nodes: 12 });
overlaySuite({ overlay: 'kouncil', nodes: 1 });
overlaySuite({ overlay: 'kouncil', nodes: 3 });
overlaySuite({ overlay: 'kouncil', nodes: 12 });
