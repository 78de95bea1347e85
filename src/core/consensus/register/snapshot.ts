// A register's agreed state as the layers above see it.

import { recoveredAt, type StateImage } from '../../block/register-validity.ts';
import type { RegisterSnapshot } from '../consensus.ts';

export function snapshotOf(image: StateImage): RegisterSnapshot {
  const { config, access, value } = image.state;
  return {
    address: image.address,
    recovered: recoveredAt(image.state),
    generation: config.generation,
    members: config.current,
    joint: config.previous !== undefined,
    access,
    version: value.version,
    valueHash: image.valueHash,
    payload: value.payload,
    author: value.author,
    deleted: value.deleted,
    proof: image.bytes,
  };
}
