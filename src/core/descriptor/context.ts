// What the operations on descriptors work with: the door to the outside, the folders of one person, and the repository in
// them. Made once by the command line, the node or a test.

import type { Runtime } from '../runtime/runtime.ts';
import type { DescriptorKind, DescriptorRepository, Home } from './descriptor.ts';
import { HomeRepository } from './home-repository.ts';

export type DescriptorRuntime = Pick<Runtime, 'clock' | 'random' | 'files' | 'log'>;

export interface DescriptorContext {
  readonly runtime: DescriptorRuntime;
  readonly home: Home;
  readonly repository: DescriptorRepository;
}

export function descriptorContext(runtime: DescriptorRuntime, home: Home): DescriptorContext {
  return { runtime, home, repository: new HomeRepository(runtime, home) };
}

/** What an import did. `unchanged`: the very same was there. */
export interface Imported<D> {
  name: string;
  result: 'saved' | 'updated' | 'unchanged';
  descriptor: D;
}

/** One thing taken away, in the order it happened; commands print a line for each. */
export interface Removed {
  kind: DescriptorKind;
  name: string;
}
