// Debian's LDAP server for tests: on loopback, in a folder of its own, with people and groups, in the clear and with TLS.

import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { eventually, Running } from './device.ts';

export const suffix = 'dc=example,dc=org';
/** Reads all, but no passwords. */
export const reader = { dn: `cn=reader,${suffix}`, password: 'reader (secret)' };

/** `uid`, `cn` and so on; the password is the uid with ` of ldap`. */
export interface LdapPerson {
  uid: string;
  cn: string;
  mail?: string;
  uidNumber?: number;
}

export interface LdapGroup {
  cn: string;
  /** Uids: a posixGroup. Of a groupOfNames its members' names. */
  uids?: readonly string[];
  dns?: readonly string[];
}

export function dnOf(uid: string): string {
  return `uid=${uid},ou=people,${suffix}`;
}

export function passwordOf(uid: string): string {
  return `${uid} of ldap`;
}

export interface SlapdOptions {
  people: readonly LdapPerson[];
  groups: readonly LdapGroup[];
  /** Entries a search gives at once to who does not ask for pages. */
  sizeLimit?: number;
}

export class Slapd {
  readonly folder: string;
  readonly url: string;
  readonly secureUrl: string;
  /** Certificate it is trusted by. */
  readonly ca: string;
  private readonly process: Running;

  private constructor(folder: string, ports: readonly [number, number], process: Running) {
    this.folder = folder;
    this.url = `ldap://localhost:${ports[0]}`;
    this.secureUrl = `ldaps://localhost:${ports[1]}`;
    this.ca = join(folder, 'cert.pem');
    this.process = process;
  }

  static async start(folder: string, options: SlapdOptions): Promise<Slapd> {
    mkdirSync(join(folder, 'data'), { recursive: true });
    const [cert, key, config] = ['cert.pem', 'key.pem', 'slapd.conf'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost'];
    const files = ['-addext', 'subjectAltName=DNS:localhost', '-keyout', key, '-out', cert];
    execFileSync('openssl', [...request, ...files], { stdio: 'ignore' });
    writeFileSync(config, configOf(folder, options.sizeLimit ?? 500));
    writeFileSync(join(folder, 'people.ldif'), ldifOf(options));
    execFileSync('slapadd', ['-f', config, '-l', join(folder, 'people.ldif')], { stdio: 'pipe' });
    const ports: [number, number] = [await freePort(), await freePort()];
    const urls = `ldap://localhost:${ports[0]} ldaps://localhost:${ports[1]}`;
    const running = new Running(spawn('slapd', ['-h', urls, '-f', config, '-d', '0'], { stdio: 'pipe' }));
    await eventually('slapd listens', 30_000, () => answers(ports[1]));
    return new Slapd(folder, ports, running);
  }

  /** Changes entries as the administrator. */
  modify(ldif: string): void {
    const words = ['-x', '-H', this.url, '-D', `cn=root,${suffix}`, '-w', 'root'];
    execFileSync('ldapmodify', words, { input: ldif, stdio: 'pipe' });
  }

  async stop(): Promise<void> {
    await this.process.stop();
  }
}

function configOf(folder: string, sizeLimit: number): string {
  return [
    ...['core', 'cosine', 'nis', 'inetorgperson'].map((name) => `include /etc/ldap/schema/${name}.schema`),
    'modulepath /usr/lib/ldap',
    'moduleload back_mdb',
    `pidfile ${folder}/slapd.pid`,
    `TLSCertificateFile ${folder}/cert.pem`,
    `TLSCertificateKeyFile ${folder}/key.pem`,
    'database mdb',
    `suffix "${suffix}"`,
    `rootdn "cn=root,${suffix}"`,
    'rootpw root',
    `directory ${folder}/data`,
    `limits users size=${sizeLimit} size.prtotal=unlimited`,
    'access to attrs=userPassword by anonymous auth by * none',
    'access to * by users read by anonymous auth',
    '',
  ].join('\n');
}

function ldifOf({ people, groups }: SlapdOptions): string {
  const entries = [
    [`dn: ${suffix}`, 'objectClass: dcObject', 'objectClass: organization', 'o: Example'],
    [`dn: ou=people,${suffix}`, 'objectClass: organizationalUnit'],
    [`dn: ou=groups,${suffix}`, 'objectClass: organizationalUnit'],
    [
      `dn: ${reader.dn}`,
      'objectClass: organizationalRole',
      'objectClass: simpleSecurityObject',
      `userPassword: ${reader.password}`,
    ],
    ...people.map(({ uid, cn, mail, uidNumber = 1000 }) => [
      `dn:: ${base64(dnOf(uid))}`,
      'objectClass: inetOrgPerson',
      'objectClass: posixAccount',
      `uid:: ${base64(uid)}`,
      `cn:: ${base64(cn)}`,
      `sn:: ${base64(cn)}`,
      ...(mail === undefined ? [] : [`mail: ${mail}`]),
      `uidNumber: ${uidNumber}`,
      `gidNumber: ${uidNumber}`,
      'homeDirectory: /nowhere',
      `userPassword:: ${base64(passwordOf(uid))}`,
    ]),
    ...groups.map(({ cn, uids = [], dns }, at) => [
      `dn: cn=${cn},ou=groups,${suffix}`,
      `objectClass: ${dns === undefined ? 'posixGroup' : 'groupOfNames'}`,
      ...(dns === undefined ? [`gidNumber: ${2000 + at}`] : []),
      ...uids.map((uid) => `memberUid:: ${base64(uid)}`),
      ...(dns ?? []).map((dn) => `member: ${dn}`),
    ]),
  ];
  return `${entries.map((lines) => lines.join('\n')).join('\n\n')}\n`;
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

async function freePort(): Promise<number> {
  const socket = createServer();
  await new Promise<void>((resolve) => socket.listen(0, 'localhost', resolve));
  const { port } = socket.address() as { port: number };
  await new Promise((resolve) => socket.close(resolve));
  return port;
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, 'localhost', () => resolve(true));
    socket.on('error', () => resolve(false)).on('connect', () => socket.destroy());
  });
}
