// The overview, rejections with their explanation, debug tokens.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Browser } from './browser.mjs';
import { authorization, Stack } from './stack.mjs';

let stack;
let browser;
let page;
let keys;
let id;
before(async () => {
  stack = await Stack.start();
  browser = await Browser.start();
  page = await browser.signedIn(stack);
});
after(async () => { await browser?.stop(); await stack?.stop(); });

const url = () => `${stack.public}/rest/V1/products`;
const call = (signer = keys, signed = url(), headers = {}) => fetch(url(), { headers: { authorization: authorization('GET', signed, signer), ...headers } });

test('an empty gateway says what to do first, and what needs nobody', async () => {
  await page.goto('/');

  await page.getByText('Nothing. Configured integrations stand as defined').waitFor();
  assert.equal(await page.getByRole('heading', { level: 1 }).innerText(), 'Overview');
});

test('the overview counts requests and refusals by cause, and follows along without a reload', async () => {
  ({ id } = await stack.api('POST', '/integrations', { name: 'Caller', all_resources: true }));
  const made = await stack.api('POST', `/integrations/${id}/activate`, {});
  keys = { consumer: made.consumer_key, secret: made.consumer_secret, token: made.access_token, tokenSecret: made.access_token_secret };
  await page.goto('/');
  for (let number = 0; number < 7; number += 1) assert.equal((await call()).status, 200);
  for (let number = 0; number < 3; number += 1) assert.equal((await call({ ...keys, tokenSecret: 'wrong' })).status, 401);

  await page.locator('.bars').getByText('signature_invalid').waitFor({ timeout: 15_000 });

  const bars = await page.locator('.bars li').allInnerTexts();
  assert.match(bars[0], /signature_invalid\s+3/);
  assert.match(await page.locator('#kpis').innerText(), /10 in this hour[^]*30\.0 %[^]*3 in this hour[^]*Active integrations\s+1\s+of 2/);
  assert.match(await page.getByRole('img', { name: /^Requests a second over the last hour/ }).getAttribute('aria-label'), /Refusals at most \d/);
});

test('who uses what shows a resource with others below it once it is granted, and how often it was used', async () => {
  const { id } = await stack.api('POST', '/integrations', { name: 'Segments', resources: ['Magento_Customer::customer'] });
  const keys = await stack.api('POST', `/integrations/${id}/activate`, {});
  const signer = { consumer: keys.consumer_key, secret: keys.consumer_secret, token: keys.access_token, tokenSecret: keys.access_token_secret };
  const url = `${stack.public}/rest/V1/customers/search`;
  for (let call = 0; call < 3; call += 1) {
    assert.equal((await fetch(url, { headers: { authorization: authorization('GET', url, signer) } })).status, 200);
  }

  const cells = async () => {
    await page.goto('/usage?q=segments&branch=Magento_Customer::customer');
    return (await page.locator('.grid-m tr').allInnerTexts()).map((row) => row.replace(/\s+/g, ' ').trim());
  };
  while (!/3 calls/.test((await cells())[1])) await sleep(100);

  assert.deepEqual(await page.locator('.grid-m thead th').allInnerTexts(), ['Integration', 'Customers', 'All customers']);
  assert.match((await cells())[1], /3 calls.*not granted/);
});

test('a target that is gone and a reset integration need somebody', async () => {
  const port = new URL(stack.public).port;
  stack.upstream.closeAllConnections();
  await new Promise((resolve) => { stack.upstream.close(resolve); });
  for (let number = 0; number < 3; number += 1) await call();
  await page.goto('/');

  await page.getByText('is not answering.').waitFor();
  assert.match(await page.getByRole('main').innerText(), /Upstream storefront\s+0 of 1 targets/);
  assert.ok(port);
});

test('a refusal is explained by a sentence first, with the base string and where each parameter came from', async () => {
  const signed = url().replace('/V1/products', '/V1/products/');
  assert.equal((await call(keys, signed)).status, 401);
  await page.goto('/rejections?cause=signature_invalid');
  await page.getByRole('link', { name: /^Explain the call/ }).first().click();

  await page.locator('.verdict .say').waitFor();
  assert.match(await page.locator('.verdict').innerText(), /slash[^]*Mistake E\d+/i);
  assert.match(await page.locator('.bs').innerText(), /GET[^]*%2Frest%2FV1%2Fproducts/);
  assert.match(await page.locator('#par').locator('xpath=../..').innerText(), /oauth_consumer_key[^]*header/);
  const text = await page.locator('main').innerText();
  for (const secret of [keys.secret, keys.tokenSecret]) assert.ok(!text.includes(secret));
  const report = await page.locator('#report').inputValue();
  assert.match(report, /was refused: signature_invalid/);
  assert.ok(!report.includes(keys.consumer));
  // Once explained, the list says it, too.
  await page.goto('/rejections?cause=signature_invalid');
  assert.match(await page.locator('tbody tr').first().innerText(), /slash/);
});

test('a call that lacks a grant is told which, with the way to grant it', async () => {
  const made = await stack.api('POST', '/integrations', { name: 'Poor', resources: ['Magento_Sales::ship'] });
  const poor = await stack.api('POST', `/integrations/${made.id}/activate`, {});
  const signer = { consumer: poor.consumer_key, secret: poor.consumer_secret, token: poor.access_token, tokenSecret: poor.access_token_secret };
  assert.equal((await call(signer)).status, 401);
  await page.goto('/rejections');
  await page.getByLabel('Cause').selectOption('resource_denied');
  await page.waitForURL('**cause=resource_denied**');
  assert.match(await page.locator('tbody tr').first().innerText(), /Poor[^]*the route needs Magento_Catalog::products/);
  await page.getByRole('link', { name: /^Explain the call/ }).first().click();

  await page.locator('.note', { hasText: 'It needs Magento_Catalog::products, which Poor was not granted.' }).waitFor();
  assert.match(await page.locator('#report').inputValue(), /It needs Magento_Catalog::products, which Poor was not granted\./);
  assert.equal(await page.getByRole('link', { name: 'Change its grants' }).getAttribute('href'), `/integrations/${made.id}#api`);
});

test('whoever may only look is told which role explains, and who has it', async () => {
  stack.account('onlooker', 'viewer');
  const onlooker = await browser.signedIn(stack, { username: 'onlooker' });
  for (const path of ['/explain', '/rejections/any']) {
    await onlooker.goto(path);
    await onlooker.getByText('This takes the role operator: ask store-admin.').waitFor();
  }
  await onlooker.goto('/accounts/1/totp');
  await onlooker.getByText('This takes the role admin: ask store-admin.').waitFor();
  assert.equal(await onlooker.getByRole('button', { name: 'Show the code to scan' }).isDisabled(), true);
  for (const path of [`/integrations/${id}`, '/integrations/new', '/accounts/1', '/accounts/new']) {
    await onlooker.goto(path);
    assert.equal(await onlooker.locator('main input[type=password]').count(), 0, path);
    assert.equal(await onlooker.locator('main form[data-guard] :is(input:not([type=hidden]), select, textarea):enabled').count(), 0, path);
  }
  await onlooker.context().close();
});

test('an activation that waits needs somebody, on the overview and in the rail', async () => {
  const made = await stack.api('POST', '/integrations', { name: 'Slow partner', endpoint: `${stack.partner.url}/callback`, identity_link_url: `${stack.partner.url}/login` });
  await page.goto('/');
  const before = Number.parseInt(await page.locator('.where').innerText().then((text) => text.match(/(\d+) thing/)?.[1] ?? '0'), 10);
  await stack.api('POST', `/integrations/${made.id}/activate`, {});
  await page.goto('/');

  await page.getByText('The activation of Slow partner is at step 3 of 5: somebody must sign in to the other service.').waitFor();
  assert.match(await page.locator('.where').innerText(), new RegExp(`${before + 1} thing`));
  assert.match(await page.locator('section', { has: page.getByRole('heading', { name: 'Busiest integrations' }) }).innerText(), /Caller\s+\d+/);
});

test('when no mistake is found the page says so, and guesses nothing', async () => {
  assert.equal((await call({ ...keys, secret: 'somebody elses secret' })).status, 401);
  await page.goto('/rejections');
  await page.getByRole('link', { name: /^Explain the call/ }).first().click();

  await page.getByText('None of the known mistakes').first().waitFor();
  assert.equal((await page.locator('main').innerText()).split('None of the known mistakes').length, 2);
  assert.equal(await page.locator('.verdict').count(), 0);
});

test('markup in a refused call is text where it is explained', async () => {
  const evil = `${url()}?x=${encodeURIComponent('"><script>document.title=1</script>')}`;
  await fetch(evil, { headers: { authorization: authorization('GET', url(), { ...keys, tokenSecret: 'wrong' }) } });
  await page.goto('/rejections');
  await page.getByRole('link', { name: /^Explain the call/ }).first().click();

  await page.getByText('<script>').first().waitFor();
  assert.equal(await page.locator('main script').count(), 0);
});

test('a viewer sees that calls were refused, and that explaining takes an operator', async () => {
  stack.account('watcher', 'viewer');
  const watching = await browser.signedIn(stack, { username: 'watcher' });
  await watching.goto('/rejections');
  assert.equal(await watching.getByRole('button', { name: /Explain \(needs the role operator\)/ }).first().isDisabled(), true);
  const answer = await watching.goto('/rejections/anything');
  assert.equal(answer.status(), 403);
  await watching.context().close();
});

test('a debug token makes refusals carry their explanation', async () => {
  await page.goto(`/integrations/${id}`);
  await page.getByRole('link', { name: 'Issue debug token' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Issue token' }).click();
  const token = await page.getByLabel('X-Countersign-Debug', { exact: true }).inputValue();

  const answer = await call(keys, url().replace('/V1/products', '/V1/products/'), { 'x-countersign-debug': token });

  assert.equal(answer.status, 401);
  assert.ok((await answer.json()).explanation);
});

test('a refusal that is not kept is said to be so, with the way to those that are', async () => {
  assert.equal((await page.goto('/rejections/long-ago')).status(), 404);

  assert.match(await page.getByRole('main').innerText(), /This refusal is not kept here[^]*long-ago[^]*the latest of the last minutes/);
  assert.equal(await page.getByRole('link', { name: 'Open Rejections' }).getAttribute('href'), '/rejections');
});

test('where the explanation must wait the page says so and shows the request all the same', async () => {
  const refused = await call({ ...keys, tokenSecret: 'wrong' });
  const request = refused.headers.get('x-request-id');
  const ask = () => fetch(`${stack.admin}/api/v1/rejections/${request}`, { headers: { authorization: `Bearer ${stack.token}` } });
  while ((await ask()).status !== 429);

  const answer = await page.goto(`/rejections/${request}`);

  assert.equal(answer.status(), 429);
  const text = await page.getByRole('main').innerText();
  assert.match(text, /Try again[^]*The explanation must wait\. At most 30 explanations a minute[^]*Cause\s+signature_invalid/);
  assert.ok(text.includes(request));
});

test('nothing was asked of another host, and the policy had nothing to refuse', async () => {
  assert.deepEqual(page.context().strangers, []);
  assert.deepEqual(page.context().complaints, []);
});
