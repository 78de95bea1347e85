// The overlays a network's descriptor may name. A new one is a file (or folder) and one line here.

import { InfinitError } from '../base/errors.ts';
import { chord } from './chord/chord.ts';
import { kalimero } from './kalimero.ts';
import { kouncil } from './kouncil/kouncil.ts';
import type { OverlayKind } from './overlay.ts';

const kinds: readonly OverlayKind[] = [chord, kouncil, kalimero];

export const overlayNames: readonly string[] = kinds.map((kind) => kind.name);

/** Throws `unsupported` for a name this version does not know. */
export function overlayKind(name: string): OverlayKind {
  const kind = kinds.find((each) => each.name === name);
  if (kind) return kind;
  const hint = `known overlays: ${overlayNames.join(', ')}`;
  throw new InfinitError('unsupported', `unknown overlay "${name}"`, { hint });
}
