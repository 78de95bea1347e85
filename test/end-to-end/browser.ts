// Debian's Chromium without a screen, driven by ChromeDriver over the WebDriver protocol.

import { spawn } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Lab, Running } from './device.ts';

/** Chromium runs as root in tests, and looks for nothing outside. */
const flags = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-dev-shm-usage',
];

export class Browser {
  private readonly driver: Running;
  private readonly session: string;

  private constructor(driver: Running, session: string) {
    this.driver = driver;
    this.session = session;
  }

  static async start(lab: Lab): Promise<Browser> {
    const driver = new Running(spawn('chromedriver', ['--port=0'], { stdio: 'pipe' }));
    try {
      await driver.waitFor(/started successfully on port \d+/, 60_000);
      const url = `http://127.0.0.1:${/successfully on port (\d+)/.exec(driver.output)?.[1]}/session`;
      const args = [...flags, `--user-data-dir=${mkdtempSync(join(lab.folder, 'browser-'))}`];
      const chromeOptions = { 'goog:chromeOptions': { args }, 'goog:loggingPrefs': { browser: 'ALL' } };
      const made = await ask<{ sessionId: string }>('POST', url, { capabilities: { alwaysMatch: chromeOptions } });
      return new Browser(driver, `${url}/${made.sessionId}`);
    } catch (error) {
      await driver.stop();
      throw error;
    }
  }

  go(url: string): Promise<void> {
    return ask('POST', `${this.session}/url`, { url });
  }

  /** The value of a script that runs in the page as the driver, beside what the page itself may run. */
  run<T>(script: string): Promise<T> {
    return ask('POST', `${this.session}/execute/sync`, { script, args: [] });
  }

  /** Clicks the first element a CSS selector finds, as a person does; the page it leads to is there then. */
  async click(selector: string): Promise<void> {
    const found = await ask<Record<string, string>>('POST', `${this.session}/element`, {
      using: 'css selector',
      value: selector,
    });
    await ask('POST', `${this.session}/element/${Object.values(found)[0]}/click`, {});
  }

  async text(): Promise<string> {
    return this.run('return document.body.innerText');
  }

  /** A screen of that width, in the light or in the dark. */
  async screen(width: number, scheme: 'light' | 'dark'): Promise<void> {
    await this.command('Emulation.setDeviceMetricsOverride', {
      width,
      height: 800,
      deviceScaleFactor: 1,
      mobile: width < 600,
    });
    await this.command('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] });
  }

  async screenshot(path: string): Promise<void> {
    writeFileSync(path, Buffer.from(await ask<string>('GET', `${this.session}/screenshot`), 'base64'));
  }

  /** What the console has said since it was asked last: refused styles and scripts, missing files. */
  async complaints(): Promise<string[]> {
    const said = await ask<{ message: string }[]>('POST', `${this.session}/se/log`, { type: 'browser' });
    return said.map(({ message }) => message).filter((message) => !message.includes('/favicon.ico'));
  }

  async close(): Promise<void> {
    await ask('DELETE', this.session).catch(() => {}); // the driver is ended all the same
    await this.driver.stop();
  }

  private command(cmd: string, params: object): Promise<unknown> {
    return ask('POST', `${this.session}/goog/cdp/execute`, { cmd, params });
  }
}

async function ask<T>(method: string, url: string, body?: object): Promise<T> {
  const answer = await fetch(url, { method, ...(body && { body: JSON.stringify(body) }) });
  const { value } = (await answer.json()) as { value: T & { error?: string; message?: string } };
  if (!answer.ok) throw new Error(`${method} ${url}: ${value.error}: ${value.message}`);
  return value;
}
