// A whole activation with a real integration server and its window.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Browser } from './browser.mjs';
import { authorization, Stack } from './stack.mjs';

let stack;
let browser;
let page;
before(async () => {
  stack = await Stack.start();
  browser = await Browser.start();
  page = await browser.signedIn(stack);
});
after(async () => { await browser?.stop(); await stack?.stop(); });

const make = (name) => stack.api('POST', '/integrations', {
  name,
  endpoint: `${stack.partner.url}/callback`,
  identity_link_url: `${stack.partner.url}/login`,
  resources: ['Magento_Catalog::products'],
});

const products = async () => {
  const url = `${stack.public}/rest/V1/products`;
  return (await fetch(url, { headers: { authorization: authorization('GET', url, stack.partner.access) } })).status;
};

// In the window: signs in there, and waits until the other side has sent the window back.
async function signInThere() {
  const opened = page.context().waitForEvent('page');
  await page.getByRole('link', { name: 'Open sign-in' }).click();
  const window = await opened;
  await window.getByRole('button', { name: 'Sign in here' }).click();
  await window.waitForURL('**/integration/loginSuccessCallback', { waitUntil: 'commit' }).catch(() => {});
  if (!window.isClosed()) await Promise.race([window.getByText('You are signed in at the other service').waitFor(), window.waitForEvent('close')]).catch(() => {});
}

test('Allow posts the keys, the window performs the handshake, and the tracker sees it become active', async () => {
  const { id, consumer_key: key } = await make('Courier labels');
  await page.goto('/integrations?name=courier');
  await page.getByRole('link', { name: 'Activate Courier labels' }).click();
  const dialog = page.getByRole('dialog');
  assert.match(await dialog.innerText(), /Allow Courier labels to use these resources\?[^]*Products[^]*changes data/);

  await dialog.getByRole('button', { name: 'Allow' }).click();
  await page.waitForURL(`**/integrations/${id}/handshake`);
  assert.equal(await page.locator('.steps [aria-current=step]').innerText(), 'Sign in at the other service');
  const link = new URL(await page.getByRole('link', { name: 'Open sign-in' }).getAttribute('href'));
  assert.equal(link.searchParams.get('oauth_consumer_key'), key);
  assert.equal(link.searchParams.get('success_call_back'), `${stack.admin}/integration/loginSuccessCallback`);
  await signInThere();

  await page.getByText('Courier labels is active.').waitFor();
  assert.equal(await page.getByText('If it hangs').count(), 0);
  assert.equal(await page.locator('.steps > .done').count(), 5);
  assert.equal(await page.locator('.steps').getByText('Open sign-in').count(), 0);
  assert.equal((await stack.api('GET', `/integrations/${id}`)).status, 'active');
  assert.equal(await products(), 200);
});

test('Reauthorize ends the old token at once and goes the same way again', async () => {
  const { id } = (await stack.api('GET', '/integrations?name=courier')).items[0];
  await page.goto('/integrations?name=courier');
  await page.getByRole('link', { name: 'Reauthorize Courier labels' }).click();
  const dialog = page.getByRole('dialog');
  assert.match(await dialog.innerText(), /Its access token ends at once/);
  await dialog.getByRole('button', { name: 'Reauthorize' }).click();
  await page.waitForURL(`**/integrations/${id}/handshake`);
  assert.equal(await products(), 401);

  await signInThere();

  await page.getByText('Courier labels is active.').waitFor();
  assert.equal(await products(), 200);
});

test('a callback that refuses the keys is told, and they can be posted again with the same verifier', async () => {
  const { id } = await make('Stubborn');
  stack.partner.answer = 500;
  await page.goto(`/integrations/${id}/permissions`);
  await page.getByRole('button', { name: 'Allow' }).click();
  await page.waitForURL(`**/integrations/${id}/handshake`);
  assert.match(await page.locator('.steps').innerText(), /answered 500/);
  assert.match(await page.locator('.note.warn').innerText(), /The other side answered 500 to the keys/);
  assert.equal(await page.locator('.note.ok').count(), 0);
  const first = stack.partner.posts.at(-1);

  stack.partner.answer = 200;
  await page.getByRole('button', { name: 'Post the keys again' }).click();
  await page.getByText("The keys of 'Stubborn' were posted again.").waitFor();

  assert.match(await page.locator('.steps').innerText(), /answered 200[^]*All 2 tries/);
  assert.equal(stack.partner.posts.at(-1).oauth_verifier, first.oauth_verifier);
});

test('a call in its name that is refused is told by the tracker with its cause, also where its signature is wrong', async () => {
  const { id } = await make('Mistyped');
  await stack.api('POST', `/integrations/${id}/activate`, {});
  const post = stack.partner.posts.at(-1);
  const url = `${stack.public}/oauth/token/request`;
  const keys = { consumer: post.oauth_consumer_key, secret: 'mistyped', token: '', tokenSecret: '' };
  assert.equal((await fetch(url, { method: 'POST', headers: { authorization: authorization('POST', url, keys) } })).status, 401);

  await page.goto(`/integrations/${id}/handshake`);

  const calls = page.getByRole('region', { name: 'Refused calls from it' });
  assert.match(await calls.innerText(), /POST \/oauth\/token\/request[^]*signature_invalid[^]*Not proven to be its own/);
  assert.equal(await page.locator('.steps [aria-current=step]').innerText(), 'Sign in at the other service');
  await calls.getByRole('link', { name: 'Explain' }).click();
  assert.equal(await page.locator('#rejections tbody tr, table tbody tr').count(), 1);
});

test('a callback that answers with a redirect is warned of like one that refuses', async () => {
  const { id } = await make('Elsewhere');
  stack.partner.answer = 302;
  await page.goto(`/integrations/${id}/permissions`);
  await page.getByRole('button', { name: 'Allow' }).click();
  await page.waitForURL(`**/integrations/${id}/handshake`);
  stack.partner.answer = 200;

  assert.match(await page.locator('.note.warn').innerText(), /The other side answered 302 to the keys\. Redirects are not followed\./);
  assert.equal(await page.locator('.note.ok').count(), 0);
  assert.equal(await page.locator('.steps .warn-t').innerText(), '302');
});

test('a callback that nobody serves leaves the activation open, and the tracker says what is wrong', async () => {
  const { id } = await stack.api('POST', '/integrations', { name: 'Nobody there', endpoint: 'http://callback.invalid/cb' });
  await page.goto(`/integrations/${id}/permissions`);
  await page.getByRole('button', { name: 'Allow' }).click();

  await page.waitForURL(`**/integrations/${id}/handshake`);
  assert.match(await page.getByRole('alert').innerText(), /The keys did not arrive/);
  assert.equal(await page.locator('.note.ok').count(), 0);
  assert.match(await page.locator('.lead').innerText(), /Its keys did not arrive/);
  assert.equal(await page.getByRole('button', { name: 'Post the keys again' }).count(), 1);
});

test('an activation under way can be stopped', async () => {
  const { id } = await make('Stopped');
  await stack.api('POST', `/integrations/${id}/activate`, {});
  await page.goto(`/integrations/${id}/handshake`);

  await page.getByRole('button', { name: 'Stop this activation' }).click();

  await page.waitForURL('**/integrations');
  await page.getByText("The activation of 'Stopped' was stopped.").waitFor();
  assert.equal((await stack.api('GET', `/integrations/${id}/handshake`)).stage, null);
});

test('the whole way is open without script', async () => {
  const plain = await browser.signedIn(stack, { javaScriptEnabled: false });
  const { id } = await make('Without script');
  await plain.goto('/integrations?name=without');
  await plain.getByRole('link', { name: 'Activate Without script' }).click();
  await plain.getByRole('button', { name: 'Allow' }).click();
  await plain.waitForURL(`**/integrations/${id}/handshake`);
  const opened = plain.context().waitForEvent('page');
  await plain.getByRole('link', { name: 'Open sign-in' }).click();
  const window = await opened;
  await window.getByRole('button', { name: 'Sign in here' }).click();
  await window.getByText('Close this window').waitFor();

  await plain.getByRole('link', { name: 'Refresh' }).click();

  await plain.getByText('Without script is active.').waitFor();
  await plain.context().close();
});
