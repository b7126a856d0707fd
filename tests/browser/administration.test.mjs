// Accounts, two-step sign-in, the audit log, and the configuration at work.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { Browser, signIn } from './browser.mjs';
import { furnished } from './pages.mjs';
import { PASSWORD, Stack } from './stack.mjs';

let stack;
let browser;
let page;
let ids;
const limits = '[[limits]]\nper = "integration"\nrequests = 100\nwindow = "10s"\nburst = 50\n';
const many = Array.from({ length: 60 }, (_, number) => `[[routes]]\npath = "/many/${number}"\nupstream = "storefront"\nresources = ["anonymous"]\n`).join('');
before(async () => {
  stack = await Stack.start({ extra: limits + many });
  browser = await Browser.start();
  ids = await furnished(stack);
  page = await browser.signedIn(stack);
});
after(async () => { await browser?.stop(); await stack?.stop(); });

const said = () => page.getByRole('main').getByRole('status').first().innerText();

// RFC 6238 with a key of base32, from its text alone.
function codeOf(key, at = Date.now()) {
  const bits = [...key.replaceAll(' ', '')].map((one) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(one).toString(2).padStart(5, '0')).join('');
  const octets = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor(at / 30_000)));
  const tag = createHmac('sha1', octets).update(step).digest();
  const number = tag.readUInt32BE(tag[19] & 15) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, '0');
}

test('an account is added with a role, changed, disabled and let in again', async () => {
  await page.goto('/accounts/new');
  await page.getByLabel('User name').fill('newcomer');
  await page.getByLabel('Role').selectOption('operator');
  await page.getByLabel('Password of the new account').fill('a horse of their own');
  await page.getByLabel('Your Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Add account' }).click();
  await page.waitForURL('**/accounts');
  assert.equal(await said(), "The account 'newcomer' was added.");
  const account = async () => (await stack.api('GET', '/admins')).items.find((one) => one.username === 'newcomer');
  assert.equal((await account()).role, 'operator');

  await page.getByRole('link', { name: 'newcomer', exact: true }).click();
  await page.getByLabel('Role').selectOption('viewer');
  await page.getByLabel('Email').fill('new@partner.example');
  await page.getByLabel('Your Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Save' }).click();
  await page.waitForURL('**/accounts');
  assert.deepEqual([(await account()).role, (await account()).email], ['viewer', 'new@partner.example']);

  await page.getByRole('link', { name: 'newcomer', exact: true }).click();
  await page.getByRole('link', { name: 'Disable newcomer' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Disable newcomer' }).click();
  await page.getByText('This is a required field. Enter your password.').waitFor();
  assert.equal((await account()).active, true);
  await page.getByLabel('Your Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Disable newcomer' }).click();
  await page.getByText("The account 'newcomer' was disabled.").waitFor();
  assert.equal((await account()).active, false);
  await page.getByRole('button', { name: 'Enable newcomer' }).click();
  await page.getByText("The account 'newcomer' was enabled.").waitFor();
  assert.equal((await account()).active, true);
});

test('a refused account comes back with its error beside the field', async () => {
  await page.goto('/accounts/new');
  await page.getByLabel('User name').fill('store-admin');
  await page.getByLabel('Password of the new account').fill('a horse of their own');
  await page.getByLabel('Your Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Add account' }).click();
  await page.getByRole('alert').waitFor();

  assert.equal(await page.locator('#e-username').innerText(), 'An account with the name "store-admin" exists.');
  assert.equal(await page.getByLabel('Password of the new account').inputValue(), '');
});

test('all that is wrong with an account is told at once', async () => {
  await page.goto('/accounts/new');
  await page.getByLabel('User name').fill('two words');
  await page.getByLabel('Email').fill('white space');
  await page.getByLabel('Password of the new account').fill('short');
  await page.getByLabel('Your Password').fill('wrong horse 1');
  await page.getByRole('button', { name: 'Add account' }).click();

  assert.match(await page.getByRole('alert').innerText(), /4 fields below need a change/);
  const invalid = await page.locator('[aria-invalid=true]').evaluateAll((fields) => fields.map((field) => field.name));
  assert.deepEqual(invalid, ['username', 'email', 'password', 'current_password']);
});

test('a new password that is refused keeps all else from being saved, and the next try is not taken for a second editor', async () => {
  stack.account('renewed', 'viewer');
  const account = async () => (await stack.api('GET', '/admins')).items.find((one) => one.username === 'renewed');
  const { id } = await account();
  const save = async (password) => {
    await page.getByLabel('New password').fill(password);
    await page.getByLabel('Your Password').fill(PASSWORD);
    await page.getByRole('button', { name: 'Save' }).click();
  };
  await page.goto(`/accounts/${id}`);
  await page.getByLabel('Email').fill('renewed@partner.example');

  await save('short');
  await page.getByText('Nothing was saved yet.').waitFor();
  assert.equal(await page.locator('#e-password').innerText(), 'From 8 to 1024 characters');
  assert.equal((await account()).email, '');
  await save('a horse of their own');

  await page.waitForURL('**/accounts');
  assert.equal((await account()).email, 'renewed@partner.example');
  assert.equal(await said(), "The account 'renewed' has been saved.");
});

test('the last admin can be neither disabled nor made less', async () => {
  await page.goto('/accounts/1');
  await page.getByRole('link', { name: 'Disable store-admin' }).click();
  await page.getByRole('dialog').getByLabel('Your Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Disable store-admin' }).click();
  await page.getByText('This is the last active account with the role admin').waitFor();
  await page.goto('/accounts/1');
  await page.getByLabel('Role').selectOption('viewer');
  await page.getByLabel('Your Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('This is the last active account with the role admin').waitFor();
});

test('everybody changes their own password with the present one, and signs in with the new one', async () => {
  stack.account('changing', 'viewer');
  const changing = await browser.signedIn(stack, { username: 'changing' });
  const attempt = async (present, password) => {
    await changing.getByLabel('New password').fill(password);
    await changing.locator('#confirm_password').fill(present);
    await changing.getByRole('button', { name: 'Change your password' }).click();
  };
  await changing.goto('/accounts');
  await changing.getByRole('link', { name: 'changing', exact: true }).last().click();
  await changing.getByRole('link', { name: 'Change your password' }).click();
  await changing.getByRole('dialog').waitFor();

  await attempt('wrong horse 1', 'short');
  await changing.locator('#e-new_password').waitFor();
  await changing.getByText('The password entered for the current user is invalid.').waitFor();
  await attempt(PASSWORD, 'a horse of their own');
  await changing.getByText('Your password was changed. Sign in with the new one.').waitFor();
  await signIn(changing, 'changing', 'a horse of their own');
  await changing.waitForURL((url) => url.pathname !== '/sign-in');

  assert.equal((await changing.goto('/accounts/1/password')).status(), 403);
  await changing.context().close();
});

test('signing out everywhere ends the sessions of that account and no other', async () => {
  stack.account('roamer', 'viewer');
  const roaming = await browser.signedIn(stack, { username: 'roamer' });
  const { id } = (await stack.api('GET', '/admins')).items.find((one) => one.username === 'roamer');

  await page.goto(`/accounts/${id}`);
  await page.getByRole('button', { name: 'Sign out everywhere' }).click();
  await page.getByText("The account 'roamer' was signed out everywhere.").waitFor();

  await roaming.goto('/integrations');
  assert.equal(new URL(roaming.url()).pathname, '/sign-in');
  await roaming.context().close();
});

test('two-step sign-in is turned on by a code that proves it, asked for then, and a code counts once', async () => {
  stack.account('careful', 'viewer');
  const careful = await browser.signedIn(stack, { username: 'careful' });
  await careful.getByRole('link', { name: 'careful' }).click();
  await careful.getByRole('link', { name: 'careful', exact: true }).last().click();
  await careful.getByRole('link', { name: 'Turn on' }).click();
  await careful.getByRole('button', { name: 'Show the code to scan' }).click();
  const key = await careful.getByLabel('Or type this key').inputValue();
  assert.ok((await careful.locator('svg.qr path').getAttribute('d')).length > 500);

  await careful.getByLabel('Code shown in the app').fill('000000');
  await careful.getByRole('button', { name: 'Turn on' }).click();
  await careful.locator('#e-code').waitFor();
  await careful.getByLabel('Code shown in the app').fill(codeOf(key, Date.now() - 30_000));
  await careful.getByRole('button', { name: 'Turn on' }).click();
  await careful.getByText("Two-step sign-in of 'careful' is on.").waitFor();
  assert.match(await careful.getByRole('region', { name: 'Two-step sign-in' }).innerText(), /^Two-step sign-in\s+on\n/);
  assert.equal(await careful.getByRole('link', { name: 'Turn on' }).count(), 0);

  await careful.getByRole('button', { name: 'Sign out', exact: true }).click();
  await careful.waitForURL('**/sign-in');
  await signIn(careful, 'careful', PASSWORD);
  await careful.getByText('Enter the six-digit code, too.').waitFor();
  const code = codeOf(key);
  await careful.getByLabel('Six-digit code').fill(code);
  await signIn(careful, 'careful', PASSWORD);
  await careful.waitForURL((url) => url.pathname !== '/sign-in');

  await careful.getByRole('button', { name: 'Sign out', exact: true }).click();
  await careful.waitForURL('**/sign-in');
  await careful.getByLabel('Six-digit code').fill(code);
  await signIn(careful, 'careful', PASSWORD);
  await careful.getByRole('alert').waitFor();
  await careful.context().close();
});

test('ten recovery codes are shown once, and each signs in once where the device is lost', async () => {
  stack.account('forgetful', 'viewer');
  const forgetful = await browser.signedIn(stack, { username: 'forgetful' });
  await forgetful.getByRole('link', { name: 'forgetful' }).click();
  await forgetful.getByRole('link', { name: 'forgetful', exact: true }).last().click();
  await forgetful.getByRole('link', { name: 'Turn on' }).click();
  await forgetful.getByRole('button', { name: 'Show the code to scan' }).click();
  const codes = await forgetful.locator('.codes code').allInnerTexts();
  const saved = forgetful.waitForEvent('download');
  await forgetful.getByRole('button', { name: 'Download' }).click();
  const file = readFileSync(await (await saved).path(), 'utf8');
  await forgetful.getByLabel('Code shown in the app').fill(codeOf(await forgetful.getByLabel('Or type this key').inputValue()));
  await forgetful.getByRole('button', { name: 'Turn on' }).click();
  await forgetful.getByText('10 recovery codes are left.').waitFor();
  assert.equal(new Set(codes).size, 10);
  assert.equal(file, codes.map((code) => `${code}\n`).join(''));
  assert.ok(!(await forgetful.content()).includes(codes[0]));

  for (const [code, works] of [[codes[0].toUpperCase(), true], [codes[0], false], [codes[1], true]]) {
    await forgetful.context().clearCookies();
    await forgetful.goto('/sign-in');
    await forgetful.getByText('Use a recovery code').click();
    await forgetful.getByLabel('Recovery code').fill(code);
    await signIn(forgetful, 'forgetful', PASSWORD);
    if (works) await forgetful.waitForURL((url) => url.pathname !== '/sign-in');
    else await forgetful.getByText('The account sign-in was incorrect').waitFor();
  }
  for (const code of codes.slice(2, 7)) {
    const { token } = await stack.api('POST', '/tokens', { username: 'forgetful', password: PASSWORD, code });
    assert.ok(token);
  }
  await forgetful.goto(`/accounts/${(await stack.api('GET', '/admins')).items.find((one) => one.username === 'forgetful').id}`);
  await forgetful.getByText('3 recovery codes are left. Turn it off and on again for ten new ones.').waitFor();
  const id = new URL(forgetful.url()).pathname;
  await forgetful.context().close();

  const isOn = async () => (await stack.api('GET', `/admins/${id.split('/').at(-1)}`)).totp;
  await page.goto(id);
  await page.getByRole('link', { name: 'Turn off for forgetful' }).click();
  await page.getByRole('dialog').getByLabel('Your Password').fill('wrong horse 1');
  await page.getByRole('button', { name: 'Turn off for forgetful' }).click();
  await page.getByText('The password entered for the current user is invalid.').waitFor();
  assert.equal(await isOn(), true);
  await page.getByLabel('Your Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Turn off for forgetful' }).click();
  await page.getByText("Two-step sign-in of 'forgetful' is off.").waitFor();
  assert.equal(await isOn(), false);
});

test('the look is kept in a cookie and written by the server', async () => {
  await page.goto('/accounts');
  await page.getByRole('button', { name: 'Dark' }).click();
  await page.waitForURL('**/accounts');
  assert.equal(await page.locator('html').getAttribute('data-theme'), 'dark');
  await page.getByRole('button', { name: 'As the system' }).click();
  await page.waitForURL('**/accounts');
  assert.equal(await page.locator('html').getAttribute('data-theme'), null);
});

test('the audit log is filtered by a whole target', async () => {
  const ids = [];
  while (!ids.some((id) => ids.some((other) => other !== id && String(other).startsWith(String(id))))) {
    ids.push((await stack.api('POST', '/integrations', { name: `Target ${ids.length}` })).id);
  }
  const id = ids.find((one) => ids.some((other) => other !== one && String(other).startsWith(String(one))));

  await page.goto(`/audit?q=integration/${id}`);

  assert.deepEqual(await page.locator('tbody td:nth-child(4)').allInnerTexts(), [`integration/${id}`]);
});

test('the audit log shows the latest first, what differs, and finds by who and what', async () => {
  await stack.api('PUT', `/integrations/${ids.sync}`, { name: 'Shop sync', email: 'new-ops@partner.example', resources: [] });

  await page.goto('/audit');
  const first = page.locator('tbody tr').first();
  assert.match(await first.innerText(), /store-admin[^]*integration\.updated[^]*email[^]*ops@partner\.example[^]*new-ops@partner\.example/);
  await page.goto('/audit?q=integration.deleted');
  assert.match(await page.getByRole('main').innerText(), /No entry fits/);
  await page.goto(`/audit?q=integration/${ids.courier}&who=store-admin`);
  assert.match(await page.locator('tbody').innerText(), /integration\.activated/);
});

test('a time in the audit log is one for people', async () => {
  const { expires_at: at } = await stack.api('POST', `/integrations/${ids.sync}/debug-token`, {});
  await page.goto('/audit');

  const change = page.locator('tbody tr').first().locator('.dif');
  assert.match(await change.innerText(), /^\d+ [A-Z][a-z]+ \d{4} \d\d:\d\d:\d\d UTC$/);
  assert.equal(Date.parse(await change.locator('time').getAttribute('datetime')), at * 1000);
});

test('the audit log is read backwards page by page without losing an entry', async () => {
  for (let number = 0; number < 70; number += 1) await stack.api('POST', '/integrations', { name: `Audited ${number}` });
  await page.goto('/audit?q=Audited');
  const seen = await page.locator('tbody ins').allInnerTexts();
  await page.getByRole('link', { name: 'Older' }).click();
  await page.waitForURL('**before=**');
  seen.push(...await page.locator('tbody ins').allInnerTexts());

  const names = seen.filter((text) => text.startsWith('Audited'));
  assert.deepEqual(names, Array.from({ length: 70 }, (_, place) => `Audited ${69 - place}`));
  for (const query of ['?q=Audited', '?']) {
    await page.goto(`/audit${query}`);
    const rows = () => page.locator('tbody tr').allInnerTexts();
    const pages = [await rows()];
    for (const label of ['Older', 'Newer']) {
      const before = page.url();
      await page.getByRole('link', { name: label }).click();
      await page.waitForURL((url) => url.href !== before);
      pages.push(await rows());
    }
    assert.notDeepEqual(pages[1], pages[0]);
    assert.deepEqual(pages[2], pages[0]);
  }
});

test('a request is tested without being sent: its route, what it lacks, and what the client is told', async () => {
  await page.goto('/routes');
  await page.getByLabel('Method').selectOption('PUT');
  await page.getByLabel('URL').fill('/rest/default/V1/products/24-MB01');
  await page.getByLabel('As (name of an integration)').fill('Newsletter feed');
  await page.getByRole('button', { name: 'Test' }).click();
  await page.getByText('Forwarded to storefront.').waitFor();
  assert.match(await page.locator('#result').innerText(), /\/rest\/\{store\?\}\/V1\/products\/\{sku\}/);

  await stack.api('POST', `/integrations/${ids.courier}/activate`, { exchange: false });
  await page.getByLabel('As (name of an integration)').fill('Courier labels');
  await page.getByRole('button', { name: 'Test' }).click();
  await page.getByText('Refused: resource_denied.').waitFor();
  assert.match(await page.locator('#result').innerText(), /The client is told 401/);
  await page.goto('/routes?method=GET&url=/nowhere');
  assert.match(await page.locator('#result').innerText(), /route_unknown/);
});

test('routes are found by path and by resource; resources, limits, upstreams and usage show what is at work', async () => {
  await page.goto('/routes?resource=Magento_Sales::ship');
  assert.equal(await page.locator('#routes tbody tr').count(), 1);
  await page.goto('/routes?q=/many');
  const first = () => page.locator('#routes tbody tr').first().innerText();
  const began = await first();
  for (const [label, after] of [['Next', '50'], ['Previous', '0']]) {
    await page.getByRole('link', { name: label }).click();
    await page.waitForURL((url) => url.searchParams.get('after') === after);
    assert.equal(await first() === began, after === '0');
  }
  await page.goto('/resources');
  assert.match(await page.getByRole('main').innerText(), /Ship orders\s+Magento_Sales::ship/);
  await page.goto('/limits');
  assert.match(await page.locator('tbody').innerText(), /per integration\s+100 in 10 s, burst 50/);
  await page.goto('/upstreams');
  assert.match(await page.getByRole('main').innerText(), /storefront[^]*http:\/\/127\.0\.0\.1:\d+\s+Up/);
  await page.goto('/usage?q=newsletter&branch=Magento_Catalog::catalog');
  assert.match(await page.locator('.grid-m tbody tr').innerText(), /Newsletter feed[^]*5\s+calls[^]*0\s+calls, granted but not used/);
});

test('on a phone what a limit is for stands beside its label', async () => {
  const phone = await browser.signedIn(stack, { viewport: { width: 390, height: 900 } });
  await phone.goto('/limits');

  const cell = phone.locator('tbody td', { hasText: 'all' });
  assert.match(await cell.evaluate((one) => getComputedStyle(one, '::before').content), /^"Only ?"/);
  await phone.context().close();
});

test('nothing was asked of another host, and the policy had nothing to refuse', async () => {
  assert.deepEqual(page.context().strangers, []);
  assert.deepEqual(page.context().complaints, []);
});
