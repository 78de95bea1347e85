// Machines on which people type what the original's guides say, word for word: a network of their own with a hub in it, and the
// program under all names it has had.

import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Device, Lab, type Place } from './device.ts';
import { Hub } from './hub.ts';
import { Lan, needsLan } from './lan.ts';
import { cannotMount } from './volume.ts';

const program = fileURLToPath(new URL('../../bin/infinit.js', import.meta.url));
const objects = 'acl credentials device drive network passport storage user volume'.split(' ');

/** Options of a test of a guide: nodes listen on every address, as the guides have it, so they need a network of their own. */
export function needsGuide(): { skip: string | false } {
  const why = cannotMount();
  return why === undefined ? needsLan() : { skip: why };
}

export class Guide {
  readonly lab = new Lab();
  private readonly lan: Lan;
  private readonly place: Place;
  private readonly names: string;
  private environment: Readonly<Record<string, string>>;

  private constructor(lan: Lan, place: Place) {
    this.lan = lan;
    this.place = place;
    this.names = join(this.lab.folder, 'names');
    mkdirSync(this.names);
    for (const name of ['infinit', ...objects.map((object) => `infinit-${object}`)])
      symlinkSync(program, join(this.names, name));
    this.environment = { PATH: `${this.names}:${process.env.PATH}` };
  }

  static async open(): Promise<Guide> {
    const lan = await Lan.open();
    return new Guide(lan, await lan.host());
  }

  /** For machines that are named from then on. */
  async startHub(): Promise<void> {
    const hub = new Hub(this.lab, 'hub', [], this.place);
    await hub.start();
    this.environment = { ...this.environment, ...hub.environment };
  }

  /** Each machine has a person; those of the same name are one person's. */
  machine(person: string, name = person): Device {
    const device = this.lab.device(name, person, this.place);
    device.environment = this.environment;
    return device;
  }

  async close(): Promise<void> {
    await this.lab.close();
    await this.lan.close();
  }
}
