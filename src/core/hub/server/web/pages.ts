// The pages of the hub. No script runs in them: they are read, and their two buttons are forms.

import type { NodeUsage } from '../../hub.ts';
import { type Html, html } from './html.ts';
import type { Overview } from './overview.ts';

/** A whole page. `user`: who is signed in. */
export function page(title: string, body: Html, user?: string): string {
  const signedIn = html`<span>Signed in as <b>${user ?? ''}</b></span>
<form method="post" action="/web/logout"><button>Sign out</button></form>`;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title} · Infinit hub</title>
<link rel="stylesheet" href="/web/style.css">
</head>
<body>
<header><strong>Infinit hub</strong>${user === undefined ? '' : signedIn}</header>
<main>
<h1>${title}</h1>
${body}
</main>
<footer>A hub sees descriptors, where nodes are and how full: never data, passwords or keys.</footer>
</body>
</html>
`.text;
}

export function signInPage(): string {
  return page(
    'Sign in',
    html`<section class="card"><p>On a device that has your key, ask for a link:</p>
<pre><code>infinit hub open</code></pre>
<p>and open it here. It is good once, for five minutes. Neither key nor password leaves the device.</p></section>`,
  );
}

/** The link leads here; its button signs in. */
export function loginPage(code: string, user: string): string {
  return page(
    `Sign in as ${user}`,
    html`<section class="card"><p>This browser will show what the hub knows of <b>${user}</b>, and can change nothing. It lasts twelve hours, or until you sign out.</p>
<form method="post" action="/web/login"><input type="hidden" name="code" value="${code}"><button>Sign in as ${user}</button></form></section>`,
  );
}

export function confirmPage(code: string): string {
  return page(
    'Confirm your address',
    html`<section class="card"><form method="post"><input type="hidden" name="confirmation_code" value="${code}"><button>Confirm this e-mail address</button></form></section>`,
  );
}

export function messagePage(title: string, text: string): string {
  return page(title, html`<section class="card"><p>${text}</p></section>`);
}

export function overviewPage(user: string, { networks, more, trees, drives }: Overview, nowMs: number): string {
  const none = html`<p class="soft">None yet.</p>`;
  const rest = more === 0 ? '' : html`<p class="soft">And ${more} more.</p>`;
  return page(
    'Your storage',
    html`<h2>Networks</h2>
${networks.length === 0 ? none : networks.map((one) => networkCard(one, nowMs))}${rest}
<h2>Volumes and stores</h2>
${trees.length === 0 ? none : table('Volumes and key-value stores', ['Name', 'Kind', 'Network', 'Description'], trees.map(treeRow))}
<h2>Drives</h2>
${
  drives.length === 0
    ? none
    : table(
        'Drives',
        ['Name', 'Volume', 'You', 'People'],
        drives.map((one) => driveRow(one, user)),
      )
}`,
    user,
  );
}

function treeRow({ name, kind, network, description }: Overview['trees'][number]): string[] {
  return [name, kind, network, description];
}

function driveRow({ name, volume, users = {} }: Overview['drives'][number], user: string): string[] {
  const isOwn = name.startsWith(`${user}/`);
  const people = Object.entries(users).map(([who, { status }]) => (status === 'ok' ? who : `${who} (invited)`));
  const mine = users[user]?.status === 'ok' ? 'joined' : 'invited';
  return [name, volume, isOwn ? 'owner' : mine, isOwn ? people.join(', ') : ''];
}

function networkCard({ network, nodes }: Overview['networks'][number], nowMs: number): Html {
  const capacity = sum(nodes.map((node) => node.capacity));
  const usage = sum(nodes.map((node) => node.usage));
  const copies = network.consensus['replication-factor'];
  const full = capacity === 0 ? '' : `, ${Math.round((100 * usage) / capacity)} %`;
  const rows = nodes.map((node) => nodeRow(node, nowMs));
  return html`<section class="card"><header><h3>${network.name}</h3>
<span class="tag">${copies} ${copies === 1 ? 'copy' : 'copies'}</span><span class="tag">${network.overlay.type}</span></header>
${network.description === undefined ? '' : html`<p>${network.description}</p>`}
${
  nodes.length === 0
    ? html`<p class="soft">No node has told the hub how full it is within a day.</p>`
    : html`<p>${bytes(usage)} of ${bytes(capacity)} used${full}</p>
<meter min="0" max="${Math.max(capacity, 1)}" value="${usage}" aria-label="Used space of ${network.name}">${full}</meter>
${table('Nodes heard of within a day', ['Node', 'User', 'Used', 'Capacity', 'Address', 'Told'], rows)}`
}</section>`;
}

function nodeRow({ node, user, capacity, usage, endpoints, atMs }: NodeUsage, nowMs: number): string[] {
  const [address = ''] = endpoints?.addresses ?? [];
  const port = endpoints === undefined ? '' : `:${endpoints.port}`;
  return [`${node.slice(0, 10)}…`, user, bytes(usage), bytes(capacity), `${address}${port}`, ago(nowMs - atMs)];
}

function table(caption: string, columns: readonly string[], rows: readonly string[][]): Html {
  const head = columns.map((column) => html`<th scope="col">${column}</th>`);
  const body = rows.map(
    (cells) =>
      html`<tr>${cells.map((cell, i) =>
        i === 0
          ? html`<th scope="row" data-label="${columns[i] ?? ''}"><span>${cell}</span></th>`
          : html`<td data-label="${columns[i] ?? ''}"><span>${cell}</span></td>`,
      )}</tr>`,
  );
  return html`<table><caption>${caption}</caption><thead><tr>${head}</tr></thead><tbody>${body}</tbody></table>`;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** `1.5 GB`: decimal, as capacities are given. */
function bytes(count: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB'];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, count)) / 3));
  const value = count / 1000 ** power;
  return `${value >= 100 || power === 0 ? Math.round(value) : Number(value.toFixed(1))} ${units[power]}`;
}

function ago(ms: number): string {
  const minutes = Math.max(0, Math.floor(ms / 60_000));
  if (minutes < 1) return 'just now';
  return minutes < 60 ? `${minutes} min ago` : `${Math.floor(minutes / 60)} h ago`;
}
