// What the daemon tells of what it keeps running.

import type { Reading, Sample } from '../base/metrics.ts';
import type { UnitStatus } from '../cli/supervising.ts';

export function unitMetrics(units: readonly UnitStatus[]): Reading[] {
  const each = (value: (unit: UnitStatus) => number): Sample[] =>
    units.map((unit) => {
      const { role, user, name } = unit;
      return { labels: { role, user, name }, value: value(unit) };
    });
  return [
    {
      name: 'infinit_unit_up',
      help: 'Whether what the daemon keeps running serves.',
      type: 'gauge',
      samples: each(({ state }) => (state === 'running' ? 1 : 0)),
    },
    {
      name: 'infinit_unit_restarts_total',
      help: 'How often it ended without being asked.',
      type: 'counter',
      samples: each(({ restarts }) => restarts),
    },
  ];
}
