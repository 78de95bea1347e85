// Commands and options of the original, as its documentation and sources have them; Docker and gRPC aside. Options without dashes.

const cache = 'cache cache-ram-size cache-ram-ttl cache-ram-invalidation cache-disk-size';
const told =
  'fetch-endpoints fetch push-endpoints push publish endpoints-file port-file port peers-file listen fetch-endpoints-interval ' +
  'no-local-endpoints no-public-endpoints advertise-host';
const run = `name input daemon monitoring peer async ${cache} ${told} prometheus`;
const mount =
  'mountpoint allow-root-creation readonly mount-name mount-icon finder-sidebar fuse-option register-service';
const volumeRun = `${run} ${mount} map-other-permissions disable-UTF-8-conversion`;
const kept =
  `mountpoint readonly mount-name mount-icon finder-sidebar fuse-option async ${cache} publish push-endpoints fetch-endpoints ` +
  'fetch-endpoints-interval peer monitoring listen';
const person = 'name description key email fullname password ldap-name full';
const silo = 'name description capacity output';
const services = 'aws dropbox gcs google-drive';
const doctor = 'ignore-non-linked no-color verbose';
const upnp = 'upnp-tcp-port upnp-udt-port server';
const ldap = 'server domain user password searchbase filter object-class';
const daemon = 'login-user mount mount-root default-network advertise-host fetch push log-level log-path';

export const common = 'help script as compatibility-version';

const commands: Readonly<Record<string, string>> = {
  'user create': `${person} output push push-user`,
  'user signup': person,
  'user login': 'name password',
  'user delete': 'name pull purge force',
  'user export': 'name output full',
  'user import': 'input',
  'user fetch': 'name no-avatar',
  'user push': 'name email fullname password avatar full',
  'user pull': 'name purge',
  'user hash': 'name',
  'user list': '',
  'silo create filesystem': `${silo} path`,
  'silo create s3': `${silo} account bucket region endpoint silo-class path`,
  'silo create gcs': `${silo} account bucket path`,
  'silo create dropbox': `${silo} account path`,
  'silo create google-drive': `${silo} account path`,
  'silo delete': 'name clear-content purge',
  'silo export': 'name output',
  'silo import': 'input',
  'silo list': '',
  'credentials add': `name ${services}`,
  'credentials delete': `name ${services} pull`,
  'credentials fetch': services,
  'credentials pull': `account ${services}`,
  'credentials list': services,
  'network create':
    'name description silo port replication-factor eviction-delay output push push-network admin-r admin-rw peer paxos no-consensus ' +
    'kelips kalimero kouncil nodes k kelips-contact-timeout encrypt protocol tcp-heartbeat disable-encrypt-at-rest ' +
    'disable-encrypt-rpc disable-signature',
  'network update':
    'name description port output push push-network admin-r admin-rw admin-remove mountpoint peer protocol',
  'network link': 'name silo output node-id',
  'network unlink': 'name',
  'network run': `${run} paxos-rebalancing-auto-expand paxos-rebalancing-inspect resign-on-shutdown log`,
  'network list': '',
  'network list-silos': 'name',
  'network list-services': 'name',
  'network inspect': 'name status peers redundancy all output',
  'network stat': 'name',
  'network delete': 'name pull purge unlink',
  'network export': 'name output',
  'network import': 'input',
  'network fetch': 'name',
  'network push': 'name',
  'network pull': 'name purge',
  'passport create': 'network user output push push-passport deny-write deny-storage allow-create-passport',
  'passport delete': 'network user pull',
  'passport export': 'network user output',
  'passport fetch': 'network user',
  'passport import': 'input',
  'passport list': 'network',
  'passport pull': 'network user',
  'passport push': 'network user',
  'volume create': `name network description create-root output push push-volume default-permissions register-service block-size ${kept}`,
  'volume update': `name description block-size user push ${kept}`,
  'volume run': volumeRun,
  'volume mount': volumeRun,
  'volume start': volumeRun,
  'volume stop': 'name',
  'volume status': 'name',
  'volume fetch': 'name network service',
  'volume syscall getxattr': '',
  'volume syscall setxattr': '',
  'volume delete': 'name pull purge',
  'volume export': 'name output',
  'volume import': 'input mountpoint',
  'volume list': '',
  'volume push': 'name',
  'volume pull': 'name purge',
  'acl list': 'path recursive verbose fallback-xattrs',
  'acl set': 'path user group mode others-mode enable-inherit disable-inherit recursive traverse verbose fetch',
  'acl group':
    'path name create delete show description add-user add-group add-admin add remove-user remove-group remove-admin remove',
  'acl register': 'path user network fetch',
  'drive create': 'name network volume description icon push push-drive',
  'drive invite': 'name user email fetch-drive push-invitations passport home',
  'drive join': 'name',
  'drive list': '',
  'drive export': 'name',
  'drive fetch': 'name',
  'drive push': 'name',
  'drive pull': 'name',
  'drive delete': 'name',
  'device transmit': 'user passphrase no-countdown',
  'device receive': 'user name passphrase',
  'journal stat': 'network',
  'journal describe': 'network operation',
  'journal export': 'network operation',
  'block deserialize': 'path output',
  'doctor all': `${doctor} ${upnp}`,
  'doctor configuration': doctor,
  'doctor system': doctor,
  'doctor connectivity': `${doctor} ${upnp}`,
  'doctor networking': 'mode protocol packet-size packets-count host port tcp-port utp-port xored-utp-port xored',
  'doctor log list': 'match number all',
  'doctor log delete': 'match number all',
  'doctor log push': 'match number all',
  'daemon run': daemon,
  'daemon start': daemon,
  'daemon stop': '',
  'daemon status': '',
  'daemon fetch': 'name',
  'daemon manage-volumes': 'list status start stop restart name',
  'daemon enable-storage': 'name hold',
  'daemon disable-storage': 'name',
  'ldap populate-hub': `${ldap} username-pattern email-pattern fullname-pattern`,
  'ldap populate-network': `${ldap} network mountpoint deny-write deny-storage`,
  'ldap drive-invite': `${ldap} drive mountpoint root-permissions create-home deny-write deny-storage`,
  'key-value-store create': 'name network description push output',
  'key-value-store delete': 'name pull purge',
  'key-value-store export': 'name output',
  'key-value-store fetch': 'name network',
  'key-value-store import': 'input',
  'key-value-store list': '',
  'key-value-store pull': 'name',
  'key-value-store push': 'name',
  'key-value-store run': `${run} allow-root-creation`,
};

/** By command, its own options. */
export const reference = new Map(
  Object.entries(commands).map(([command, options]) => [command, options.split(' ').filter(Boolean)]),
);
