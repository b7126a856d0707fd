// The browser: Debian's Chromium, with a profile of its own that goes when it ends.
import { setTimeout as sleep } from 'node:timers/promises';
import { chromium } from 'playwright-core';
import { PASSWORD } from './stack.mjs';

// What Chromium sets in its own environment while it starts, amid threads that read it: a name that is new moves the
// whole environment, and whoever reads it then reads freed memory. One start in some hundred died of it.
const SET_BY_CHROMIUM = { DBUS_SESSION_BUS_ADDRESS: 'disabled:', FC_FONTATIONS: '1' };

function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    handleSIGTERM: false,
    env: { ...process.env, ...SET_BY_CHROMIUM },
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--no-first-run', '--disable-dev-shm-usage'],
  });
}

export class Browser {
  static async start() {
    const browser = new Browser();
    // Another release may set more names: that it dies while it starts says nothing of the console.
    browser.chromium = await launch().catch((error) => {
      console.error(`Chromium did not start, once more: ${error.message}`);
      return launch();
    });
    return browser;
  }

  // A browser without a past. Whatever it asks of another host, and whatever its console says, is kept.
  async open(stack, options = {}) {
    const context = await this.chromium.newContext({ baseURL: stack.admin, timezoneId: 'UTC', ...options });
    context.setDefaultTimeout(10_000);
    context.strangers = [];
    context.complaints = [];
    const own = [stack.admin, stack.partner.url];
    context.on('request', (request) => {
      if (!own.some((origin) => request.url().startsWith(origin))) context.strangers.push(request.url());
    });
    context.on('console', (message) => {
      if (message.type() === 'error' && !/status of [45]/.test(message.text())) context.complaints.push(message.text());
    });
    context.on('weberror', (error) => context.complaints.push(String(error.error())));
    return context;
  }

  // The same, signed in.
  async signedIn(stack, { username = 'store-admin', ...options } = {}) {
    const context = await this.open(stack, options);
    const page = await context.newPage();
    await page.goto('/sign-in');
    await signIn(page, username, PASSWORD);
    await page.waitForURL((url) => url.pathname !== '/sign-in');
    return page;
  }

  // A browser that does not end by itself is killed when this process exits.
  async stop() {
    await Promise.race([this.chromium.close(), sleep(10_000)]);
  }
}

export async function signIn(page, username, password) {
  await page.getByLabel('User name').fill(username);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}
