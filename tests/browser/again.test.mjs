// What is sent twice, sent too late, or sent from a page of another session.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Browser, signIn } from './browser.mjs';
import { authorization, PASSWORD, Stack } from './stack.mjs';

let stack;
let browser;
let page;
before(async () => {
  stack = await Stack.start();
  browser = await Browser.start();
  page = await browser.signedIn(stack);
});
after(async () => { await browser?.stop(); await stack?.stop(); });

const products = async (signer) => {
  const url = `${stack.public}/rest/V1/products`;
  return (await fetch(url, { headers: { authorization: authorization('GET', url, signer) } })).status;
};
const shown = async () => {
  const [consumer, secret, token, tokenSecret] = await Promise.all(['consumer_key', 'consumer_secret', 'token_key', 'token_secret'].map((id) => page.locator(`#${id}`).inputValue()));
  return { consumer, secret, token, tokenSecret };
};
// A session that ends elsewhere: the page stays open.
const endSession = () => page.context().clearCookies();

test('keys that were just issued survive the reload of their page', async () => {
  const { id } = await stack.api('POST', '/integrations', { name: 'Reloaded', all_resources: true });
  for (const verb of ['Allow', 'Reauthorize']) {
    await page.goto(`/integrations/${id}/permissions`);
    await page.getByRole('button', { name: verb }).click();
    await page.locator('#token_secret').waitFor();
    const keys = await shown();

    await page.reload();

    await page.getByText(/Reloaded was already (activated|reauthorized); nothing was changed\./).waitFor();
    assert.equal(await products(keys), 200);
  }
});

test('a secret that was rotated away stays valid as long as promised, though the page is reloaded', async () => {
  const { id, consumer_key: consumer } = await stack.api('POST', '/integrations', { name: 'Rotated', all_resources: true });
  const made = await stack.api('POST', `/integrations/${id}/activate`, {});
  const old = { consumer, secret: made.consumer_secret, token: made.access_token, tokenSecret: made.access_token_secret };
  await page.goto(`/integrations/${id}/rotate`);
  await page.getByLabel('Your Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Rotate secret' }).click();
  const secret = await page.getByLabel('Consumer Secret', { exact: true }).inputValue();

  await page.reload();

  await page.getByText('Rotated was already given a new secret; nothing was changed.').waitFor();
  assert.equal(await products(old), 200);
  assert.equal(await products({ ...old, secret }), 200);
});

test('what is decided on an integration that changed meanwhile is not done', async () => {
  const { id } = await stack.api('POST', '/integrations', { name: 'Moved on' });
  await page.goto(`/integrations/${id}/permissions`);
  await stack.api('PUT', `/integrations/${id}`, { name: 'Moved on', all_resources: true });

  await page.getByRole('button', { name: 'Allow' }).click();

  await page.getByText('Moved on changed since this page was opened; nothing was done.').waitFor();
  assert.equal((await stack.api('GET', `/integrations/${id}`)).status, 'inactive');
});

test('how long an old secret stays valid is one of the choices, or nothing is rotated', async () => {
  const { id } = await stack.api('POST', '/integrations', { name: 'Graceless' });
  await page.goto(`/integrations/${id}/rotate`);
  const [csrf, version] = await Promise.all(['csrf', 'version'].map((name) => page.locator(`form[action$=rotate] input[name=${name}]`).inputValue()));
  for (const grace of ['99999h', 'x', '']) {
    const answer = await page.request.post(`/integrations/${id}/rotate`, { form: { csrf, version, grace, current_password: PASSWORD } });
    assert.equal(answer.status(), 400, grace);
  }
  assert.equal((await stack.api('GET', `/integrations/${id}`)).previous_secret_valid_until, undefined);
});

for (const javaScriptEnabled of [true, false]) {
  test(`what was typed when the session ended is back after the sign-in, ${javaScriptEnabled ? 'with' : 'without'} script`, async () => {
    const name = `Typed ${javaScriptEnabled}`;
    const typing = await browser.signedIn(stack, { javaScriptEnabled });
    await typing.goto('/integrations/new');
    await typing.getByLabel('Name', { exact: true }).fill(name);
    await typing.locator('summary', { hasText: 'Catalog: show or hide' }).click();
    await typing.getByLabel('Products').check();
    await typing.getByLabel('Your Password').fill(PASSWORD);
    await typing.context().clearCookies();
    await typing.getByRole('button', { name: 'Save', exact: true }).click();

    await typing.getByText('Your session has ended.').waitFor();
    assert.ok(!(await typing.content()).includes(PASSWORD));
    await signIn(typing, 'store-admin', 'wrong horse 1');
    await typing.getByRole('alert').waitFor();
    await signIn(typing, 'store-admin', PASSWORD);
    if (!javaScriptEnabled) await typing.getByRole('button', { name: 'Back to the form' }).click();
    await typing.getByText('Your session had ended meanwhile.').waitFor();

    assert.equal(await typing.getByLabel('Name', { exact: true }).inputValue(), name);
    assert.equal(await typing.getByLabel('Products').isChecked(), true);
    assert.equal(await typing.getByLabel('Your Password').inputValue(), '');
    assert.equal((await stack.api('GET', `/integrations?name=${encodeURIComponent(name)}`)).total, 0);
    await typing.getByLabel('Your Password').fill(PASSWORD);
    await typing.getByRole('button', { name: 'Save', exact: true }).click();
    await typing.waitForURL('**/integrations');
    assert.deepEqual((await stack.api('GET', `/integrations?name=${encodeURIComponent(name)}`)).items[0].resources, ['Magento_Backend::admin', 'Magento_Catalog::catalog', 'Magento_Catalog::products']);
    await typing.context().close();
  });
}

test('an edit, an account and a pasted request come back, too, and other forms lead back to their page', async () => {
  const { id } = await stack.api('POST', '/integrations', { name: 'Edited late' });
  for (const [path, label, button, typed] of [
    [`/integrations/${id}`, 'Email optional', 'Save', 'late@partner.example'],
    ['/accounts/new', 'User name', 'Add account', 'latecomer'],
    ['/explain', 'Raw request', 'Explain', 'GET / HTTP/1.1'],
  ]) {
    await page.goto(path);
    await page.getByLabel(label, { exact: true }).fill(typed);
    await endSession();
    await page.getByRole('button', { name: button, exact: true }).click();
    await page.getByText('Your session has ended.').waitFor();
    await signIn(page, 'store-admin', PASSWORD);
    await page.getByText('Your session had ended meanwhile.').waitFor();
    assert.equal(await page.getByLabel(label, { exact: true }).inputValue(), typed, path);
  }
  await page.goto(`/integrations/${id}/permissions`);
  await endSession();
  await page.getByRole('button', { name: 'Allow' }).click();
  await signIn(page, 'store-admin', PASSWORD);
  await page.waitForURL(`**/integrations/${id}/permissions`);
  const { email, status } = await stack.api('GET', `/integrations/${id}`);
  assert.deepEqual([email, status], ['', 'inactive']);
});

test('a form of an earlier session comes back with what was typed, and only then is it saved', async () => {
  const { id } = await stack.api('POST', '/integrations', { name: 'Two tabs' });
  await page.goto(`/integrations/${id}`);
  await page.getByLabel('Email optional', { exact: true }).fill('tabs@partner.example');
  const other = await page.context().newPage();
  await other.goto('/');
  await other.getByRole('button', { name: 'Sign out' }).click();
  await other.waitForURL('**/sign-in');
  await signIn(other, 'store-admin', PASSWORD);
  await other.waitForURL((url) => url.pathname === '/');
  await other.close();
  await page.getByLabel('Your Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Save', exact: true }).click();

  await page.getByText('Your session had ended meanwhile.').waitFor();
  assert.equal((await stack.api('GET', `/integrations/${id}`)).email, '');
  await page.getByLabel('Your Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await page.waitForURL('**/integrations');
  assert.equal((await stack.api('GET', `/integrations/${id}`)).email, 'tabs@partner.example');
});

test('what another site sends is brought back to nobody', async () => {
  const form = { name: 'Planted' };
  const headers = { 'sec-fetch-site': 'cross-site' };
  const signedIn = await page.request.post('/integrations', { form, headers });
  const context = await browser.open(stack);
  const stranger = await context.request.post('/integrations', { form, headers });

  assert.deepEqual([signedIn.status(), stranger.status()], [403, 200]);
  for (const answer of [signedIn, stranger]) assert.ok(!(await answer.text()).includes('Planted'));
  await context.close();
});

test('an integration that was deleted while it was edited can be saved as a new one', async () => {
  const { id } = await stack.api('POST', '/integrations', { name: 'Gone' });
  await page.goto(`/integrations/${id}`);
  await page.getByLabel('Email optional', { exact: true }).fill('gone@partner.example');
  await stack.api('DELETE', `/integrations/${id}`);
  await page.getByLabel('Your Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await page.getByText('Not saved: this integration was deleted while you were editing.').waitFor();

  await page.getByLabel('Your Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await page.waitForURL('**/integrations');
  assert.equal((await stack.api('GET', '/integrations?name=Gone')).items[0].email, 'gone@partner.example');
});
