// For everybody: axe-core finds nothing, the keyboard alone is enough, and nothing runs out of a narrow screen.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { Browser } from './browser.mjs';
import { furnished, pages } from './pages.mjs';
import { Stack, PASSWORD } from './stack.mjs';

const axe = readFileSync(new URL('node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');
let stack;
let browser;
let ids;
before(async () => {
  stack = await Stack.start();
  browser = await Browser.start();
  ids = await furnished(stack);
});
after(async () => { await browser?.stop(); await stack?.stop(); });

async function violations(page) {
  await page.evaluate(axe);
  const { violations: found } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
  return found.map((one) => `${one.id}: ${one.nodes.map((node) => `${node.html} ${node.any[0]?.message ?? ''}`).join(' | ').slice(0, 600)}`);
}

for (const colorScheme of ['light', 'dark']) {
  for (const width of [1440, 390]) {
    test(`axe-core finds nothing on any page, ${colorScheme}, ${width} wide`, async () => {
      const page = await browser.signedIn(stack, { colorScheme, viewport: { width, height: 900 }, bypassCSP: true, reducedMotion: 'reduce' });
      const found = [];
      for (const [name, path, prepare] of pages(ids)) {
        await page.goto(path);
        await prepare?.(page);
        found.push(...(await violations(page)).map((one) => `${name}: ${one}`));
      }
      await page.goto('/integrations');
      if (width < 900) {
        await page.getByRole('button', { name: 'Menu' }).click();
        found.push(...(await violations(page)).map((one) => `menu: ${one}`));
        await page.keyboard.press('Escape');
      }
      await page.getByRole('link', { name: /^Delete / }).first().click();
      await page.getByRole('dialog').waitFor();
      found.push(...(await violations(page)).map((one) => `dialog: ${one}`));
      assert.deepEqual(found, []);
      await page.context().close();
    });
  }
}

test('nothing runs out of a screen of 320 points', async () => {
  const page = await browser.signedIn(stack, { viewport: { width: 320, height: 640 } });
  const wide = [];
  for (const [name, path, prepare] of pages(ids)) {
    await page.goto(path);
    await prepare?.(page);
    const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (over > 0) wide.push(`${name}: ${over}`);
  }
  assert.deepEqual(wide, []);
  await page.context().close();
});

test('no name, address or key is so long that it widens a page or cuts a button', async () => {
  const long = { name: 'n'.repeat(255), email: `${'e'.repeat(64)}@${'h'.repeat(180)}.example`, endpoint: `https://partner.example/${'c'.repeat(230)}`, identity_link_url: `https://partner.example/${'i'.repeat(230)}` };
  const { id } = await stack.api('POST', '/integrations', long);
  const { id: active } = await stack.api('POST', '/integrations', { name: 'a'.repeat(255), all_resources: true });
  await stack.api('POST', `/integrations/${active}/activate`, {});
  await stack.api('POST', `/integrations/${id}/activate`, {}).catch(() => {});
  await stack.api('PUT', `/integrations/${id}`, { ...long, name: 'm'.repeat(255) });
  stack.account('u'.repeat(255), 'viewer');
  const { items } = await stack.api('GET', '/admins');
  const user = items.find((one) => one.username.startsWith('uuu')).id;
  const paths = [
    '/', '/integrations', `/integrations?name=${'x'.repeat(255)}`, '/usage', '/audit', '/accounts', `/accounts/${user}`,
    ...['', '/delete', '/permissions', '/handshake', '/rotate'].map((rest) => `/integrations/${id}${rest}`),
    ...['', '/delete', '/deactivate', '/permissions', '/tokens', '/debug-token'].map((rest) => `/integrations/${active}${rest}`),
  ];
  for (const width of [1440, 390, 320]) {
    const page = await browser.signedIn(stack, { viewport: { width, height: 900 } });
    const wide = [];
    for (const path of paths) {
      await page.goto(path);
      const over = await page.evaluate(() => {
        const root = document.documentElement;
        const cut = [...document.querySelectorAll('main .b')].filter((one) => one.scrollWidth > one.clientWidth + 1 && !one.matches('.icon'));
        const scrolls = [...document.querySelectorAll('main .scroll:not([tabindex])')].filter((one) => innerWidth > 1000 && one.scrollWidth > one.clientWidth);
        return [root.scrollWidth - root.clientWidth, cut.length, scrolls.length];
      });
      if (over.some((number) => number > 0)) wide.push(`${path.slice(0, 60)}: ${over}`);
    }
    assert.deepEqual(wide, [], `${width} wide`);
    if (width === 1440) {
      await page.goto('/audit');
      const lines = await page.locator('tbody td:nth-child(3) code').evaluateAll((all) => all.map((one) => one.getClientRects().length));
      assert.ok(lines.length > 0 && lines.every((number) => number === 1), lines.join());
      await page.goto('/usage');
      const sticky = await page.locator('.grid-m tbody th').first().evaluate((one) => one.getBoundingClientRect().width);
      assert.ok(sticky < 400, String(sticky));
    }
    await page.context().close();
  }
});

test('by keyboard alone somebody signs in, finds an integration and opens its dialog', async () => {
  const context = await browser.open(stack);
  const page = await context.newPage();
  await page.goto('/sign-in');
  const focused = () => page.evaluate(() => document.activeElement?.textContent.trim() || document.activeElement?.name);
  const tabTo = async (wanted) => {
    for (let tries = 0; tries < 60; tries += 1) {
      if ((await focused()) === wanted) return;
      await page.keyboard.press('Tab');
    }
    assert.fail(`the keyboard does not reach ${wanted}`);
  };

  await tabTo('username');
  await page.keyboard.type('store-admin');
  await page.keyboard.press('Tab');
  await page.keyboard.type(PASSWORD);
  await page.keyboard.press('Enter');
  await page.waitForURL((url) => url.pathname !== '/sign-in');
  await page.goto('/integrations');
  await page.keyboard.press('Tab');
  assert.equal(await focused(), 'Skip to content');
  await page.keyboard.press('/');
  await page.keyboard.type('courier');
  await page.keyboard.press('Enter');
  await page.waitForURL('**name=courier**');
  await tabTo('Activate Courier labels');
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').getByRole('heading').first().waitFor();
  assert.equal(await page.evaluate(() => document.querySelector('dialog').contains(document.activeElement)), true);
  await page.keyboard.press('Escape');
  assert.equal(await focused(), 'Activate Courier labels');
  await context.close();
});
