// What the hub writes to people. Nothing in it is anybody's free text: names and addresses were checked, so that nobody uses the hub to
// send words of his own.

import type { Mail } from './mail.ts';

const unwanted = 'If you do not want this, do nothing.';

/** `url` of the hub, where it is known. */
export function confirmation(to: string, user: string, code: string, url: string | undefined): Mail {
  const link = url === undefined ? '' : `or open ${url}/users/${user}/confirm_email?code=${code}\n`;
  return {
    to,
    subject: 'Confirm your e-mail address',
    text: `User "${user}" of an Infinit hub says this is his address. If that is you, confirm with this code, valid for a day:\n\n${code}\n\n${link}If not, do nothing.\n`,
  };
}

/** To a user of the hub. */
export function invitation(to: string, drive: string, owner: string): Mail {
  return {
    to,
    subject: `${owner} invites you to drive ${drive}`,
    text: `User "${owner}" of an Infinit hub invites you to drive "${drive}". To join:\n\n    infinit drive join ${drive}\n\nTo decline:\n\n    infinit drive pull ${drive}\n`,
  };
}

/** To an address that no user has confirmed yet. */
export function invitationToSignUp(to: string, drive: string, owner: string, url: string | undefined): Mail {
  const hub = url === undefined ? '' : `    export INFINIT_BEYOND=${url}\n`;
  return {
    to,
    subject: `${owner} invites you to drive ${drive}`,
    text: `User "${owner}" of an Infinit hub invites you to drive "${drive}". To join, sign up with this address, and confirm it by the code that you are sent then:\n\n${hub}    infinit user signup NAME --email ${to}\n    infinit drive join ${drive} --as NAME\n\nIf you have signed up with another address, give this one: infinit user push --email ${to}\n${unwanted}\n`,
  };
}

/** To the owner. */
export function joined(to: string, drive: string, user: string): Mail {
  return {
    to,
    subject: `${user} joined drive ${drive}`,
    text: `User "${user}" has joined your drive "${drive}".\n`,
  };
}
