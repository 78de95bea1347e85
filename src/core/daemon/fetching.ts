// What mounting somebody's volume on this device takes, from the hub: the volume, its network, the passport, and a link.

import { linkNetwork } from '../descriptor/links.ts';
import { qualify } from '../descriptor/names.ts';
import { getVolume } from '../descriptor/volumes.ts';
import { type Fetched, fetchNetworks, fetchPassports, fetchTrees, type Sharing } from '../hub/client/sharing.ts';

/** All that is missing is made; what is here is brought up to date. `linked` tells the network this device is linked to now. */
export async function fetchForMount(
  sharing: Sharing,
  given: string,
): Promise<{ fetched: Fetched[]; linked: string | undefined }> {
  const { context, as } = sharing;
  const name = qualify('volume', given, as);
  const fetched = await fetchTrees(sharing, 'volume', { name });
  const { network } = await getVolume(context, as, name);
  fetched.push(...(await fetchNetworks(sharing, network)));
  if (!network.startsWith(`${as}/`)) fetched.push(...(await fetchPassports(sharing, { network })));
  if (await context.repository.has('linked-network', `${as}/${network}`)) return { fetched, linked: undefined };
  await linkNetwork(context, { as, name: network });
  return { fetched, linked: network };
}
