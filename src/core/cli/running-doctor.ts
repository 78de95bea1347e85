// What the doctor is asked and finds; part of `running.ts`.

import type { Acting } from './running.ts';

/** What the doctor found of one thing; JSON-safe. What is not sane does not work; a warning is something to look at. */
export interface Finding {
  name: string;
  sane: boolean;
  warning: boolean;
  reason?: string;
  /** A command or a step that mends it. */
  hint?: string;
  /** Of networks: whether this device is linked. */
  linked?: boolean;
  type?: string;
  /** Of nodes: where it was reached. */
  endpoint?: string;
  /** What it rests on, as far as that is examined: causes are found in there. */
  silos?: Finding[];
  network?: Finding;
  volume?: Finding;
  nodes?: Finding[];
}

export interface Section {
  /** Field of the report. */
  key: string;
  title: string;
  findings: Finding[];
}

export const findingGroups = ['configuration', 'system', 'connectivity', 'redundancy'] as const;
export type FindingGroup = (typeof findingGroups)[number];

export interface DiagnoseOptions extends Acting {
  groups: readonly FindingGroup[];
  /** Names of variables of the environment that change what commands do. */
  variables: readonly string[];
  /** Leaves out networks that this device is not linked to. */
  ignoreNonLinked: boolean;
  hub?: string;
  /** `HOST:PORT` of a machine that runs `infinit doctor networking`. */
  server?: string;
  /** The router is asked to forward it, for a moment. */
  upnpTcpPort?: number;
}
