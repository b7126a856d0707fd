// A pasted request explained: with the store's secrets, with typed ones, refused, hostile.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { Browser } from './browser.mjs';
import { authorization, Stack } from './stack.mjs';

const axe = readFileSync(new URL('node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');
let stack;
let browser;
let page;
let keys;
before(async () => {
  stack = await Stack.start();
  browser = await Browser.start();
  const { id } = await stack.api('POST', '/integrations', { name: 'Caller', all_resources: true });
  const made = await stack.api('POST', `/integrations/${id}/activate`, {});
  keys = { consumer: made.consumer_key, secret: made.consumer_secret, token: made.access_token, tokenSecret: made.access_token_secret };
  page = await browser.signedIn(stack);
});
after(async () => { await browser?.stop(); await stack?.stop(); });

// A request as it went over the wire, signed as if it went to `signed`.
function raw({ path = '/rest/V1/products', signed = path, signer = keys, method = 'GET', oauth = {}, more = '', body = '' } = {}) {
  const header = authorization(method, `${stack.public}${signed}`, signer, oauth);
  return `${method} ${path} HTTP/1.1\nHost: ${new URL(stack.public).host}\nAuthorization: ${header}\n${more}\n${body}`;
}
const explain = () => page.getByRole('button', { name: 'Explain', exact: true }).first().click();
const violations = async () => {
  await page.evaluate(axe);
  const { violations: found } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
  return found.map((one) => `${one.id}: ${one.nodes.map((node) => node.html).join(' | ').slice(0, 400)}`);
};

test('an operator pastes a request and reads what the client signed, with the secrets of the store', async () => {
  await page.goto('/rejections');
  await page.getByRole('link', { name: 'Explain a pasted request' }).click();
  await page.getByLabel('Raw request').fill(raw({ path: '/rest/V1/products?page=2', signed: '/rest/V1/products' }));
  assert.equal(await page.getByLabel('Consumer secret').isVisible(), false);
  await explain();

  await page.locator('.verdict .say').waitFor();
  assert.match(await page.locator('.verdict').innerText(), /query[^]*Mistake E20/);
  assert.match(await page.locator('.bs figure').nth(1).innerText(), /^Your client signed/);
  assert.deepEqual(await page.locator('.bs ins').allInnerTexts(), ['%26page%3D2']);
  assert.equal(await page.locator('.bs del').count(), 0);
  assert.equal(await page.getByRole('link', { name: 'Rejections', exact: true }).getAttribute('aria-current'), 'page');
  const text = await page.locator('body').innerHTML();
  for (const secret of [keys.secret, keys.tokenSecret]) assert.ok(!text.includes(secret));
  const report = await page.locator('#report').inputValue();
  assert.match(report, /^GET \/rest\/V1\/products: a pasted request\.\nYour client/);
  assert.match(report, /Base string here:\nGET&[^]*Base string that the client signed:\nGET&[^]*Parameters:[^]*page = 2 \(query\)/);
  for (const key of [keys.consumer, keys.token]) assert.ok(!report.includes(key));
});

test('a name of a parameter is not broken where there is room for it', async () => {
  const lines = await page.locator('td.name code').evaluateAll((all) => all.map((one) => one.getClientRects().length));

  assert.ok(lines.length > 0 && lines.every((number) => number === 1), lines.join());
});

test('the request stays at hand, to be changed and explained again', async () => {
  await page.getByText('Change it and explain again').click();
  const kept = await page.getByLabel('Raw request').inputValue();
  assert.match(kept, /^GET \/rest\/V1\/products\?page=2 HTTP\/1\.1\nHost: /);
  await page.getByLabel('Raw request').fill(kept.replace('?page=2', ''));
  await explain();

  await page.getByText('The signature holds now.').waitFor();
});

test('what may be the gateway’s is told to its operator, in the report too, while nothing verified on the route', async () => {
  const header = authorization('GET', `${stack.public.replace('http:', 'https:')}/rest/V1/products`, keys);
  await page.goto('/explain');
  await page.getByLabel('Raw request').fill(`GET /rest/V1/products HTTP/1.1\nHost: ${new URL(stack.public).host}\nAuthorization: ${header}\n`);
  await explain();

  await page.locator('.verdict .say').waitFor();
  assert.deepEqual(await page.locator('.bs ins, .bs del').allInnerTexts(), ['http', 'https']);
  assert.match(await page.locator('.verdict').innerText(), /^Clients sign https:[^]*For the operator\s+No signature has verified on this route[^]*Mistake E2/);
  assert.match(await page.locator('#report').inputValue(), /for the operator of the gateway to change, not in the client/);
});

test('typed secrets are used once, and never come back', async () => {
  await page.goto('/explain');
  await page.getByLabel('Raw request').fill(raw({ signer: { ...keys, secret: 'typed-consumer-secret', tokenSecret: '' } }));
  await page.getByText('I type them').click();
  await page.getByLabel('Consumer secret').fill('typed-consumer-secret');
  await page.getByLabel('Token secret').fill('typed-token-secret');
  await explain();

  await page.locator('.verdict .say').waitFor();
  assert.match(await page.locator('.verdict').innerText(), /empty token secret[^]*E73/);
  assert.ok(!(await page.content()).includes('typed-'));
  assert.equal(await page.getByLabel('Consumer secret').inputValue(), '');
  const audit = JSON.stringify(await stack.api('GET', '/audit?limit=1000'));
  assert.match(audit, /request\.explained/);
  assert.ok(!audit.includes('typed-'));
});

test('a body keeps its own line ends, though the form changes them', async () => {
  const body = '{\n  "sku": "a"\n}\n';
  const hash = createHash('sha256').update(body).digest('base64');
  await page.goto('/explain');
  await page.getByLabel('Raw request').fill(raw({ method: 'PUT', oauth: { oauth_body_hash: hash }, more: `Content-Type: application/json\nContent-Length: ${body.length}\n`, body }));
  await explain();

  await page.getByText('The signature holds now.').waitFor();
});

test('what is no request is told beside the field, and nothing of it is lost', async () => {
  for (const [text, said] of [
    ['', /Paste the request line/],
    ['curl https://shop.example/', /request line isn't METHOD TARGET HTTP\/1\.1/],
    ['GET / HTTP/1.1\nHost: shop.example\n', /No OAuth parameters arrived/],
  ]) {
    await page.goto('/explain');
    await page.getByLabel('Raw request').fill(text);
    await page.getByText('I type them').click();
    await page.getByLabel('Consumer secret').fill('typed-secret');
    await page.getByLabel('Public address').fill('https://shop.example');
    await explain();
    await page.getByRole('alert').waitFor();

    const field = page.getByLabel('Raw request');
    assert.equal(await field.inputValue(), text);
    assert.equal(await field.getAttribute('aria-invalid'), 'true');
    assert.match(await page.locator(`#${await field.getAttribute('aria-describedby')}`).innerText(), said);
    assert.equal(await page.getByLabel('Public address').inputValue(), 'https://shop.example');
    assert.equal(await page.getByLabel('Consumer secret').inputValue(), '');
    assert.ok(await field.evaluate((one) => one === document.activeElement));
  }
});

test('an entry beside the request that is wrong is told beside itself', async () => {
  for (const [label, value, said] of [['Consumer secret', '', /Type the consumer secret/], ['Public address', 'shop', /is not an absolute URL/]]) {
    await page.goto('/explain');
    await page.getByLabel('Raw request').fill(raw());
    await page.getByText('I type them').click();
    await page.getByLabel('Consumer secret').fill('s');
    await page.getByLabel(label).fill(value);
    await explain();
    await page.getByRole('alert').waitFor();

    assert.match(await page.getByLabel(label).locator('xpath=..').innerText(), said);
    assert.match(await page.getByLabel('Raw request').inputValue(), /^GET /);
  }
});

test('markup in a pasted request is text, refused or explained', async () => {
  const evil = '"><img src=x onerror="document.title=1"></textarea><script>document.title=2</script>';
  const hostile = raw({ path: `/rest/V1/products?x=${encodeURIComponent(evil)}`, more: `X: ${evil}\n` }).replace('oauth_version="1.0"', `oauth_version="1.0", x="${encodeURIComponent(evil)}"`);
  for (const text of [evil, hostile, hostile.replace('Host:', `Host: a\nHost:`)]) {
    await page.goto('/explain');
    await page.getByLabel('Raw request').fill(text);
    await page.getByText('I type them').click();
    await page.getByLabel('Consumer secret').fill(evil);
    await page.getByLabel('Public address').fill(text === evil ? evil : '');
    await explain();
    await page.locator('.verdict, .note, [role=alert]').first().waitFor();

    assert.equal(await page.locator('main img, main script').count(), 0);
    assert.doesNotMatch(await page.title(), /^[12]$/);
    assert.equal(await page.getByLabel('Raw request').inputValue(), text);
  }
});

test('without script the typed secrets stay in reach, and the answer is the same', async () => {
  const context = await browser.open(stack, { javaScriptEnabled: false, storageState: await page.context().storageState() });
  const plain = await context.newPage();
  await plain.goto('/explain');
  await plain.getByLabel('Raw request').fill(raw({ signer: { ...keys, tokenSecret: '' } }));
  await plain.getByText('I type them').click();
  assert.equal(await plain.getByLabel('Consumer secret').isVisible(), true);
  await plain.getByText('From the store').click();
  await plain.getByRole('button', { name: 'Explain' }).click();

  assert.match(await plain.locator('.verdict').innerText(), /E73/);
  await context.close();
});

test('a viewer sees that it takes an operator', async () => {
  stack.account('watcher', 'viewer');
  const watching = await browser.signedIn(stack, { username: 'watcher' });
  const answer = await watching.goto('/explain');
  assert.equal(answer.status(), 403);
  assert.equal(await watching.getByRole('button', { name: 'Explain' }).isDisabled(), true);
  await watching.context().close();
});

test('axe-core finds nothing where a request was refused or explained, at phone width too', async () => {
  const wide = page;
  page = await browser.signedIn(stack, { viewport: { width: 390, height: 844 }, bypassCSP: true, reducedMotion: 'reduce' });
  for (const text of ['', raw({ signer: { ...keys, tokenSecret: '' } })]) {
    await page.goto('/explain');
    await page.getByLabel('Raw request').fill(text);
    await explain();
    await page.locator('.verdict, [role=alert]').first().waitFor();
    await page.getByText('Change it and explain again').click({ timeout: 500 }).catch(() => {});
    assert.deepEqual(await violations(), []);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth), 0);
  }
  await page.context().close();
  page = wide;
});

test('nothing was asked of another host, and the policy had nothing to refuse', async () => {
  assert.deepEqual(page.context().strangers, []);
  assert.deepEqual(page.context().complaints, []);
});
