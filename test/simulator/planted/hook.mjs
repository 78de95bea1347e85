// Puts a planted bug in the place of a file of the project, for one process: `INFINIT_PLANT` names the file and its changed
// copy. Nothing in the project knows of it.

import { register } from 'node:module';

const plant = process.env.INFINIT_PLANT;
if (plant) register('./resolve.mjs', import.meta.url, { data: JSON.parse(plant) });
