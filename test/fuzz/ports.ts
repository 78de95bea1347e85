// What anybody near may say in the name of a router that forwards ports: it is refused, or what it says is within its bounds.

import { isIPv4 } from 'node:net';
import { decodeNatPmp } from '../../src/core/node/port-mapping/nat-pmp-message.ts';
import { decodePcp } from '../../src/core/node/port-mapping/pcp-message.ts';
import { decodeLocation, encodeSearches } from '../../src/core/node/port-mapping/ssdp-message.ts';
import { elementsOf, parseXml } from '../../src/core/node/port-mapping/xml.ts';
import { accepted, damage, type Fuzzer, fuzzer, mustBe, pick } from './fuzzer.ts';

const pcpAnswer = Buffer.from(
  '02810000000004b0000000070000000000000000000000000102030405060708090a0b0c060000001092109300000000000000000000ffffcb007109',
  'hex',
);
const natPmpAnswers = ['0080000000000007cb007109', '008200000000000710921093000004b0', '0082000200000007'].map((text) =>
  Buffer.from(text, 'hex'),
);
const found = [
  'HTTP/1.1 200 OK',
  'CACHE-CONTROL: max-age=120',
  'ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1',
  'LOCATION: http://10.0.0.1:5000/rootDesc.xml',
  ...['', ''],
].join('\r\n');
const page =
  '<?xml version="1.0"?><root xmlns="urn:x"><device a=\'1\'><!-- - --><service><serviceType>urn:&lt;:1</serviceType>' +
  '<controlURL>/ctl</controlURL><b/></service><![CDATA[ <& ]]></device></root>';
const pieces = ['<', '>', '</', '/>', '<!--', '-->', '<![CDATA[', ']]>', '<?', '?>', '&amp;', '"', 'a', 'root'];

export const portFuzzers: readonly Fuzzer[] = [
  fuzzer('ports PCP', {
    make: (random) => damage(random, pcpAnswer),
    check: (bytes) => {
      const map = accepted(() => decodePcp(bytes))?.value.map;
      mustBe(map === undefined || map.external === '' || isIPv4(map.external), 'an address that is none');
    },
  }),
  fuzzer('ports NAT-PMP', {
    make: (random) => damage(random, pick(random, natPmpAnswers)),
    check: (bytes) => {
      const answer = accepted(() => decodeNatPmp(bytes))?.value;
      if (answer === undefined || answer.result !== 0) return;
      const isAddress = answer.operation === 'address' && isIPv4(answer.external ?? '');
      mustBe(isAddress || answer.mapping !== undefined, 'a success without what was asked for');
    },
  }),
  fuzzer('ports SSDP', {
    make: (random) => damage(random, Buffer.from(found), pick(random, encodeSearches())),
    check: (bytes) => void accepted(() => decodeLocation(bytes)),
  }),
  fuzzer('ports XML', {
    make: (random) => {
      const some = Array.from({ length: random.below(20) }, () => pick(random, pieces)).join('');
      const at = random.below(page.length);
      return damage(random, Buffer.from(random.chance(0.5) ? page.slice(0, at) + some + page.slice(at) : some));
    },
    check: (bytes) => {
      const root = accepted(() => parseXml(bytes.toString('utf8')))?.value;
      if (root !== undefined) mustBe(elementsOf(root, root.name)[0] === root, 'a root that is not found');
    },
  }),
];
