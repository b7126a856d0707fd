// What must never get through: forged forms, markup in fields, framing, and what GET must not do.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Browser } from './browser.mjs';
import { PASSWORD, Stack } from './stack.mjs';

let stack;
let browser;
let page;
before(async () => {
  stack = await Stack.start();
  browser = await Browser.start();
  page = await browser.signedIn(stack);
});
after(async () => { await browser?.stop(); await stack?.stop(); });

const EVIL = '"><img src=x onerror="document.title=1"><script>document.title=2</script>\'`{{7*7}}';

test('no form is done without its CSRF token, and none that another site sends', async () => {
  const { id } = await stack.api('POST', '/integrations', { name: 'Target' });
  const csrf = await page.locator('input[name=csrf]').first().inputValue();
  const fields = { name: 'Changed', current_password: PASSWORD, grace: '1h', do: 'save' };
  for (const path of ['/integrations', `/integrations/${id}`, `/integrations/${id}/delete`, `/integrations/${id}/deactivate`, `/integrations/${id}/permissions`, `/integrations/${id}/handshake`, `/integrations/${id}/tokens`, `/integrations/${id}/rotate`, `/integrations/${id}/debug-token`, '/explain', '/accounts', '/accounts/1', '/accounts/1/totp', '/appearance', '/sign-out']) {
    const without = await page.request.post(path, { form: fields, maxRedirects: 0 });
    const wrong = await page.request.post(path, { form: { ...fields, csrf: csrf.replace(/./, (one) => (one === 'A' ? 'B' : 'A')) }, maxRedirects: 0 });
    const foreign = await page.request.post(path, { form: { ...fields, csrf }, headers: { 'sec-fetch-site': 'cross-site' }, maxRedirects: 0 });
    assert.deepEqual([without.status(), wrong.status(), foreign.status()], [403, 403, 403], path);
  }
  const { items } = await stack.api('GET', '/integrations?name=Target');
  assert.deepEqual([items.length, items[0].status], [1, 'inactive']);
  await page.goto('/integrations');
  assert.equal(new URL(page.url()).pathname, '/integrations');
});

test('markup in any field is text on every page', async () => {
  const { id } = await stack.api('POST', '/integrations', { name: EVIL, email: 'a"><b>@x.example' });
  const { id: active } = await stack.api('POST', '/integrations', { name: `${EVIL} active` });
  await stack.api('POST', `/integrations/${active}/activate`, {});

  for (const path of ['/integrations', `/integrations?name=${encodeURIComponent(EVIL)}&sort=name&after=${encodeURIComponent(EVIL)}`, `/integrations?key=${encodeURIComponent(EVIL)}`, `/integrations/${id}`, `/integrations/${id}/delete`, `/integrations/${id}/permissions`, `/integrations/${id}/handshake`, `/integrations/${active}/tokens`, `/integrations/${active}/rotate`, `/${encodeURIComponent(EVIL)}`]) {
    await page.goto(path);
    assert.equal(await page.locator('main img[src=x], main script').count(), 0, path);
    assert.doesNotMatch(await page.title(), /^[12]$/, path);
  }
  await page.goto(`/integrations/${id}`);
  assert.equal(await page.getByLabel('Name', { exact: true }).inputValue(), EVIL);
  await page.goto('/integrations');
  await page.getByRole('link', { name: `Delete ${EVIL}`, exact: true }).click();
  assert.match(await page.getByRole('dialog').innerText(), /<script>/);
  assert.equal(await page.getByRole('dialog').locator('script, img').count(), 0);
});

test('markup that a refused form brings along comes back as text', async () => {
  await page.goto('/integrations/new');
  await page.getByLabel('Name', { exact: true }).fill(EVIL);
  await page.getByLabel('Email').fill(EVIL);
  await page.getByLabel('Callback URL').fill(EVIL);
  await page.getByLabel('Identity Link URL').fill(`javascript:alert(1)//${EVIL}`);
  await page.getByLabel('Find a resource').fill(EVIL);
  await page.getByLabel('Your Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await page.getByRole('alert').waitFor();

  assert.equal(await page.locator('main img, main script').count(), 0);
  for (const label of ['Name', 'Email optional', 'Callback URL optional']) assert.equal(await page.getByLabel(label, { exact: true }).inputValue(), EVIL);
});

test('every page says that it is not to be framed, kept, or fed from elsewhere', async () => {
  for (const path of ['/sign-in', '/integrations', '/integrations/new', '/nowhere', '/integration/loginSuccessCallback']) {
    const answer = await page.request.get(path, { maxRedirects: 0, headers: { accept: 'text/html' } });
    const headers = answer.headers();
    assert.equal(
      headers['content-security-policy'],
      "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
      path,
    );
    assert.equal(headers['cache-control'], 'no-store');
    assert.equal(headers['x-frame-options'], 'DENY');
    assert.equal(headers['referrer-policy'], 'no-referrer');
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.doesNotMatch((await answer.text()).replace(/"[^"]*"/g, '""'), /<[^>]+\s(style|on[a-z]+)=|<script>|<style|javascript:/i);
  }
});

test('reading an address of a form changes nothing', async () => {
  const { id } = await stack.api('POST', '/integrations', { name: 'Only looked at' });
  const before = await stack.api('GET', '/audit?limit=1000');

  for (const path of ['', '/delete', '/permissions', '/handshake', '/tokens', '/rotate']) await page.goto(`/integrations/${id}${path}`);
  await page.goto('/sign-out');

  const after = await stack.api('GET', '/audit?limit=1000');
  assert.equal(after.items.length, before.items.length);
  await page.goto('/integrations');
  assert.equal(new URL(page.url()).pathname, '/integrations');
});

test('an address that names nothing is a page to who browses and JSON to a program', async () => {
  await page.goto('/integrations/99999');
  assert.match(await page.getByRole('main').innerText(), /The integration with ID "99999" doesn't exist/);
  await page.goto('/integrations/1%2F..%2F2');
  assert.match(await page.getByRole('main').innerText(), /Integration ID is not specified or is invalid/);
  const answer = await fetch(`${stack.admin}/nowhere`);
  assert.equal(answer.status, 404);
  assert.match(answer.headers.get('content-type'), /json/);
});
