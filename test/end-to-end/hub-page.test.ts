// The page of a hub in a real browser: the link of `hub open` signs in, the page shows what is one's own, looks right in the light, in
// the dark and on a telephone, and runs no script.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Browser } from './browser.ts';
import { type Device, eventually, Lab } from './device.ts';
import { Hub } from './hub.ts';
import { needs } from './needs.ts';

const words = (line: string) => line.split(' ');

describe('the page of a hub in a browser', { timeout: 600_000, ...needs('chromium', 'chromedriver') }, () => {
  const lab = new Lab();
  const hub = new Hub(lab);
  let alice: Device;
  let browser: Browser;

  before(async () => {
    await hub.start();
    alice = lab.device('alice', 'alice');
    alice.environment = hub.environment;
    await alice.run(words('user signup alice'));
    await alice.run(words('silo create filesystem local --capacity 1GB'));
    await alice.run([...words('network create cluster --silo local --push --description'), 'Our <disks> & "more"']);
    await alice.run(words('volume create shared --network cluster --push'));
    await alice.run(words('drive create family --network cluster --volume shared --push'));
    await alice.start(words('network run cluster --listen 127.0.0.1 --publish'), /^Running network/m);
    await eventually('usage is told', 120_000, async () => {
      const { capacity } = JSON.parse(await alice.run(words('network stat cluster --script')));
      return capacity > 0;
    });
    browser = await Browser.start(lab);
  });
  after(async () => {
    await browser?.close();
    await lab.close();
  });

  test('tells a stranger how to sign in', async () => {
    await browser.go(hub.url);
    assert.equal(await browser.run('return location.pathname'), '/web');
    const text = await browser.text();
    assert.match(text, /infinit hub open/);
    assert.ok(!text.includes('cluster'));
  });

  test('signs in by the link of the program, once', async () => {
    const { url } = JSON.parse(await alice.run(words('hub open --script')));
    await browser.go(url);
    await browser.click('main button');
    assert.equal(await browser.run('return location.pathname + location.search'), '/web');
    const text = await browser.text();
    for (const part of ['Signed in as alice', 'alice/cluster', 'Our <disks> & "more"', 'alice/shared', 'alice/family'])
      assert.ok(text.includes(part), part);
    assert.match(text, /of 1 GB used, \d+ %/);
    assert.match(text, /127\.0\.0\.1:\d+/);
    await browser.go(url);
    assert.match(await browser.text(), /has ended/);
    await browser.go(`${hub.url}/web`);
    assert.deepEqual(await browser.complaints(), []);
  });

  test('can be read in the light, in the dark, and on a telephone', async () => {
    for (const width of [1000, 360])
      for (const scheme of ['light', 'dark'] as const) {
        await browser.screen(width, scheme);
        const overflow = await browser.run('return document.documentElement.scrollWidth - innerWidth');
        assert.ok(Number(overflow) <= 0, `${width} ${scheme}: ${overflow} px too wide`);
        for (const selector of ['body', '.soft, footer', '.card h3', 'caption', 'td span', 'header button']) {
          const contrast = await browser.run<number>(contrastOf(selector));
          assert.ok(contrast >= 4.5, `${selector} in the ${scheme}: ${contrast}`);
        }
        const folder = process.env.SCREENSHOTS;
        if (folder) await browser.screenshot(`${folder}/${width}-${scheme}.png`);
      }
  });

  test('says what is what to those who do not see it', async () => {
    const facts = await browser.run(`return {
      lang: document.documentElement.lang,
      headings: [...document.querySelectorAll('h1, h2, h3')].map((one) => one.tagName + ' ' + one.textContent),
      tables: [...document.querySelectorAll('table')].every((one) => one.caption && one.querySelector('th[scope=row]')),
      meters: [...document.querySelectorAll('meter')].map((one) => one.ariaLabel),
      scripts: document.scripts.length }`);
    assert.deepEqual(facts, {
      lang: 'en',
      headings: ['H1 Your storage', 'H2 Networks', 'H3 alice/cluster', 'H2 Volumes and stores', 'H2 Drives'],
      tables: true,
      meters: ['Used space of alice/cluster'],
      scripts: 0,
    });
  });

  test('forgets who signs out', async () => {
    await browser.click('header button');
    assert.match(await browser.text(), /infinit hub open/);
    await browser.go(`${hub.url}/web`);
    assert.ok(!(await browser.text()).includes('cluster'));
  });
});

/** Of the text of an element with what is behind it, as WCAG reckons it. */
function contrastOf(selector: string): string {
  return `
    const rgb = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
    const light = (colour) => {
      const [r, g, b] = colour.slice(0, 3).map((one) => (one /= 255) <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4);
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    let one = document.querySelector(${JSON.stringify(selector)});
    const ink = light(rgb(getComputedStyle(one).color));
    while (one && (rgb(getComputedStyle(one).backgroundColor)[3] ?? 1) === 0) one = one.parentElement;
    const paper = light(rgb(getComputedStyle(one ?? document.body).backgroundColor));
    return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);`;
}
