// The list, the form, the dialogs: Magento's handles of magento.md 6.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { after, before, test } from 'node:test';
import { Browser } from './browser.mjs';
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

const make = (name, more = {}) => stack.api('POST', '/integrations', { name, ...more });
const names = () => page.locator('#integrationGrid tbody .who').allInnerTexts();

test('the list filters by name and status, sorts by each column, and keeps both in its address', async () => {
  await make('Sort Beta');
  await make('Sort Alpha');
  const { id } = await make('Sort Gamma');
  await stack.api('POST', `/integrations/${id}/activate`, {});

  await page.goto('/integrations?name=sort');
  assert.deepEqual(await names(), ['Sort Beta', 'Sort Alpha', 'Sort Gamma']);
  await page.getByRole('columnheader', { name: 'Name' }).getByRole('link').click();
  await page.waitForURL('**/integrations?name=sort&sort=name');
  assert.deepEqual(await names(), ['Sort Alpha', 'Sort Beta', 'Sort Gamma']);
  assert.equal(await page.getByRole('columnheader', { name: 'Name' }).getAttribute('aria-sort'), 'ascending');
  await page.getByRole('columnheader', { name: 'Name' }).getByRole('link').click();
  await page.waitForURL('**/integrations?name=sort&sort=-name');
  assert.deepEqual(await names(), ['Sort Gamma', 'Sort Beta', 'Sort Alpha']);
  await page.getByRole('navigation', { name: 'Status' }).getByRole('link', { name: 'Active' }).first().click();
  await page.waitForURL('**status=active**');
  assert.deepEqual(await names(), ['Sort Gamma']);
  assert.equal(await page.getByLabel('Name', { exact: true }).inputValue(), 'sort');
});

test('a consumer key finds its integration, and a filter that finds nothing says how many it hides', async () => {
  const { consumer_key: key } = await make('By its key');

  await page.goto('/integrations');
  await page.getByLabel('Consumer key').fill(key);
  await page.getByRole('button', { name: 'Filter' }).click();
  await page.waitForURL(`**key=${key}**`);
  assert.deepEqual(await names(), ['By its key']);
  await page.goto('/integrations?name=no-such-thing');
  assert.match(await page.locator('.empty').innerText(), /No integration is called “no-such-thing”\s+\d+ are hidden by this filter/);
});

test('pages go on and back by key, and no row is lost or doubled between them', async () => {
  for (let number = 0; number < 60; number += 1) await make(`Paged ${String(number).padStart(2, '0')}`);
  await page.goto('/integrations?name=paged&sort=name');
  const seen = [await names()];

  for (const label of ['Next', 'Next', 'Previous', 'Previous']) {
    const before = page.url();
    await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: label }).click();
    await page.waitForURL((url) => url.href !== before);
    seen.push(await names());
  }

  assert.deepEqual(seen.map((rows) => rows.length), [25, 25, 10, 25, 25]);
  assert.equal(new Set(seen.slice(0, 3).flat()).size, 60);
  assert.deepEqual(seen[3], seen[1]);
  assert.deepEqual(seen[4], seen[0]);
  assert.match(await page.getByRole('navigation', { name: 'Pages' }).innerText(), /^1 to 25 of 60/);

  await page.goto('/usage?q=paged');
  const used = () => page.locator('.grid-m tbody .who').allInnerTexts();
  const began = await used();
  await page.getByRole('link', { name: 'Next' }).click();
  await page.waitForURL('**after=**');
  assert.equal(new Set([...began, ...await used()]).size, 50);
  await page.getByRole('link', { name: 'Previous' }).click();
  await page.waitForURL((url) => !url.searchParams.get('after'));
  assert.deepEqual(await used(), began);
});

test('what is sent in clear is marked, and the notice leads to it', async () => {
  await make('In clear', { endpoint: 'http://points.example/callback' });

  await page.goto('/integrations');
  await page.getByRole('link', { name: 'Show them' }).click();

  await page.waitForURL('**secure=0');
  assert.deepEqual(await names(), ['In clear']);
  assert.match(await page.locator('#integrationGrid tbody').innerText(), /Not secure/);
});

test('a new integration is saved with the resources ticked and those above them', async () => {
  await page.goto('/integrations');
  await page.getByRole('link', { name: 'Add New Integration' }).click();
  await page.getByLabel('Name', { exact: true }).fill('Made here');
  await page.getByLabel('Email').fill('ops@partner.example');
  await page.locator('summary', { hasText: 'Catalog: show or hide' }).click();
  await page.getByLabel('Products').check();
  await page.getByLabel('Your Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Save', exact: true }).click();

  await page.waitForURL('**/integrations');
  assert.match(await page.getByRole('main').getByRole('status').first().innerText(), /The integration 'Made here' has been saved\./);
  const { items: [made] } = await stack.api('GET', '/integrations?name=Made%20here');
  assert.deepEqual(made.resources, ['Magento_Backend::admin', 'Magento_Catalog::catalog', 'Magento_Catalog::products']);
  assert.equal(made.status, 'inactive');
  await page.reload();
  assert.equal(await page.getByText('has been saved').count(), 0);
});

test('what a refused form held comes back with the error beside its field, and never the password', async () => {
  await make('Taken');
  const attempt = async (fields, password = PASSWORD) => {
    await page.goto('/integrations/new');
    await page.getByLabel('Name', { exact: true }).fill('Kept name');
    await page.getByLabel('Email optional', { exact: true }).fill('ops@partner.example');
    for (const [label, value] of Object.entries(fields)) await page.getByLabel(label, { exact: true }).fill(value);
    await page.locator('summary', { hasText: 'Catalog: show or hide' }).click();
    await page.getByLabel('Categories').check();
    await page.getByLabel('Your Password').fill(password);
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await page.getByRole('alert').waitFor();
    assert.equal(await page.getByLabel('Your Password').inputValue(), '');
    assert.equal(await page.getByLabel('Categories').isChecked(), true);
    const invalid = page.locator('[aria-invalid=true]');
    assert.equal(await invalid.count(), 1);
    assert.equal(await invalid.evaluate((field) => field === document.activeElement), true);
    const described = await invalid.getAttribute('aria-describedby');
    return [await invalid.getAttribute('name'), await page.locator(`#${described.split(' ')[0]}`).innerText()];
  };

  assert.deepEqual(await attempt({ Name: 'Taken' }), ['name', 'The integration with name "Taken" exists.']);
  assert.deepEqual(await attempt({ Name: '' }), ['name', 'This is a required field. Enter a name.']);
  assert.equal((await attempt({ 'Email optional': 'nonsense' }))[0], 'email');
  assert.deepEqual(await attempt({ 'Identity Link URL optional': 'nonsense' }), ['identity_link_url', 'Invalid Identity Link URL']);
  assert.equal((await attempt({ 'Callback URL optional': 'partner.example/callback' }))[0], 'endpoint');
  assert.deepEqual(await attempt({}, 'wrong horse 1'), ['current_password', 'The password entered for the current user is invalid. Verify the password and try again.']);
  assert.equal(await page.getByLabel('Name', { exact: true }).inputValue(), 'Kept name');
  assert.match(await page.locator('.rail .where').innerText(), /needs? you/);
});

test('an edit changes what is in the form and nothing else', async () => {
  const { id } = await make('Before', { endpoint: 'https://before.example/cb', signature_methods: ['HMAC-SHA256'], flags: ['mastercard'] });
  await page.goto(`/integrations/${id}`);

  assert.equal(await page.getByRole('heading', { level: 1 }).innerText(), 'Edit "Before" Integration');
  await page.getByLabel('Name', { exact: true }).fill('Afterwards');
  await page.getByRole('radio', { name: /^All/ }).check();
  await page.getByLabel('Your Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await page.waitForURL('**/integrations');

  const changed = await stack.api('GET', `/integrations/${id}`);
  assert.equal(changed.name, 'Afterwards');
  assert.equal(changed.all_resources, true);
  assert.equal(changed.endpoint, 'https://before.example/cb');
  assert.deepEqual(changed.signature_methods, ['HMAC-SHA256']);
  assert.deepEqual(changed.flags, ['mastercard']);
});

test('how an integration signs is chosen in the form, all of what the API takes, and taken back there', async () => {
  const { id } = await make('Signer');
  const pem = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ type: 'spki', format: 'pem' }).trim();
  const save = async () => {
    await page.getByLabel('Your Password').fill(PASSWORD);
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await page.waitForURL('**/integrations');
    return stack.api('GET', `/integrations/${id}`);
  };
  const boxes = ['RSA-SHA256', 'HMAC-SHA512', 'header', 'Two-legged', 'collapse_identical_pairs'];
  await page.goto(`/integrations/${id}`);
  await page.getByText('Change how it signs').click();
  for (const name of boxes) await page.getByRole('checkbox', { name: new RegExp(`^${name}`) }).check();
  await page.getByLabel('RSA public key').fill(pem);
  await page.getByLabel('Where its users are sent back to').fill(' https://one.example/back\n\nhttps://two.example/back ');

  const saved = await save();
  assert.deepEqual(saved.signature_methods.sort(), ['HMAC-SHA512', 'RSA-SHA256']);
  assert.deepEqual([saved.placements, saved.two_legged, saved.flags], [['header'], true, ['collapse_identical_pairs']]);
  assert.equal(saved.rsa_public_key.trim(), pem);
  assert.deepEqual(saved.callback_urls, ['https://one.example/back', 'https://two.example/back']);
  await page.goto(`/integrations/${id}`);
  for (const name of boxes) {
    const box = page.getByRole('checkbox', { name: new RegExp(`^${name}`) });
    assert.equal(await box.isChecked(), true, name);
    await box.uncheck();
  }
  await page.getByLabel('RSA public key').fill('');
  await page.getByLabel('Where its users are sent back to').fill('');
  const back = await save();
  assert.deepEqual([back.signature_methods, back.placements, back.rsa_public_key, back.two_legged, back.callback_urls, back.flags], [null, null, null, false, [], []]);
});

test('a form of Magento’s fields alone leaves how it signs as it stands', async () => {
  const { id } = await make('Plain', { signature_methods: ['HMAC-SHA256'], flags: ['mastercard'], two_legged: true });
  await page.goto(`/integrations/${id}`);
  const [csrf, version] = await Promise.all(['csrf', 'version'].map((name) => page.locator(`form[data-guard] input[name=${name}]`).inputValue()));
  const saved = await page.request.post(`/integrations/${id}`, { form: { csrf, version, name: 'Plainly', all_resources: '0', current_password: PASSWORD, do: 'save' }, maxRedirects: 0 });

  assert.equal(saved.status(), 303);
  const changed = await stack.api('GET', `/integrations/${id}`);
  assert.deepEqual([changed.name, changed.signature_methods, changed.flags, changed.two_legged], ['Plainly', ['HMAC-SHA256'], ['mastercard'], true]);
});

test('what is wrong in how it signs is told beside its field, and nothing is lost', async () => {
  const { id } = await make('Faulty signer');
  for (const [label, value, said] of [['RSA public key', '-----BEGIN no key', /PEM/], ['Where its users are sent back to', 'https://one.example/\nnowhere', /absolute URLs/]]) {
    await page.goto(`/integrations/${id}`);
    await page.getByText('Change how it signs').click();
    await page.getByRole('checkbox', { name: /^mastercard/ }).check();
    await page.getByLabel(label).fill(value);
    await page.getByLabel('Your Password').fill(PASSWORD);
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await page.getByRole('alert').waitFor();

    const field = page.getByLabel(label);
    assert.equal(await field.inputValue(), value);
    assert.equal(await field.isVisible(), true);
    assert.match(await page.locator(`#${(await field.getAttribute('aria-describedby')).split(' ')[0]}`).innerText(), said);
    assert.equal(await page.getByRole('checkbox', { name: /^mastercard/ }).isChecked(), true);
  }
  assert.deepEqual((await stack.api('GET', `/integrations/${id}`)).flags, []);
});

test('of two edits at once the second is told kindly, keeps its entries, and can save them then', async () => {
  const { id } = await make('Contested', { email: 'first@partner.example' });
  await page.goto(`/integrations/${id}`);
  await page.getByLabel('Name', { exact: true }).fill('Contested by me');
  await stack.api('PUT', `/integrations/${id}`, { name: 'Contested', email: 'second@partner.example' });

  await page.getByLabel('Your Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  const said = await page.getByRole('alert').innerText();
  assert.match(said, /^Not saved: store-admin saved this while you were editing/);
  assert.match(said, /Email: “second@partner\.example”/);
  assert.equal(await page.getByLabel('Name', { exact: true }).inputValue(), 'Contested by me');
  await page.getByLabel('Your Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await page.waitForURL('**/integrations');
  assert.equal((await stack.api('GET', `/integrations/${id}`)).name, 'Contested by me');
});

test('all that is wrong with a form is told at once, each beside its field', async () => {
  await page.goto('/integrations/new');
  for (const [label, value] of [['Email', 'nonsense'], ['Callback URL', 'partner.example/callback'], ['Identity Link URL', 'nonsense']]) await page.getByLabel(`${label} optional`, { exact: true }).fill(value);
  await page.getByText('Change how it signs').click();
  await page.getByLabel('Where its users are sent back to').fill('https://a.example/?b=<i>');
  await page.getByLabel('Your Password').fill('wrong horse 1');
  await page.getByRole('button', { name: 'Save', exact: true }).click();

  assert.match(await page.getByRole('alert').innerText(), /6 fields below need a change/);
  const invalid = await page.locator('[aria-invalid=true]').evaluateAll((fields) => fields.map((field) => field.name));
  assert.deepEqual(invalid, ['name', 'email', 'endpoint', 'identity_link_url', 'callback_urls', 'current_password']);
  const said = await page.locator('.err').allInnerTexts();
  assert.ok(said.every((text) => /^[A-Z]/.test(text)), said.join('\n'));
  assert.match(said[4], /a character that must be percent-encoded/);
});

test('an active integration is deactivated by an operator, and goes on with its keys when it is activated again', async () => {
  stack.account('on-duty', 'operator');
  const operator = await browser.signedIn(stack, { username: 'on-duty' });
  const { id, consumer_id: consumer } = await make('Paused', { resources: ['Magento_Backend::admin', 'Magento_Catalog::catalog', 'Magento_Catalog::products'] });
  await operator.goto(`/integrations/${id}`);
  assert.equal(await operator.getByRole('link', { name: 'Deactivate' }).count(), 0);
  await operator.getByRole('link', { name: 'Activate' }).click();
  assert.match(await operator.getByRole('dialog').innerText(), /asks for 2 of \d+ resources[^]*an admin can show them/);
  await operator.getByRole('dialog').getByRole('button', { name: 'Allow' }).click();
  await operator.waitForURL('**/integrations');
  const keys = await stack.api('GET', `/consumers/${consumer}/access-token`);
  const url = `${stack.public}/rest/V1/products`;
  const signer = { consumer: keys.consumer_key, secret: keys.consumer_secret, token: keys.access_token, tokenSecret: keys.access_token_secret };
  const called = async () => (await fetch(url, { headers: { authorization: authorization('GET', url, signer) } })).status;
  assert.equal(await called(), 200);
  await operator.goto(`/integrations/${id}`);
  await operator.getByRole('link', { name: 'Deactivate' }).click();
  await operator.getByRole('dialog').getByRole('button', { name: 'Deactivate Paused' }).click();

  await operator.getByText("The integration 'Paused' has been deactivated.").waitFor();
  assert.equal(await called(), 401);
  await operator.goto(`/integrations/${id}/permissions`);
  await operator.getByRole('button', { name: 'Allow' }).click();
  await operator.getByText("The integration 'Paused' has been activated.").waitFor();
  assert.equal(await called(), 200);
  await operator.context().close();
});

test('a page of the list behind its end says so', async () => {
  await page.goto('/integrations?after=999999&from=26');

  assert.match(await page.locator('.empty').innerText(), /Nothing comes after that/);
});

test('delete asks first, names what goes, and gives the focus back where it is kept', async () => {
  const { id } = await make('To delete');
  await page.goto('/integrations?name=to+delete');
  const link = page.getByRole('link', { name: 'Delete To delete' });
  await link.click();
  const dialog = page.getByRole('dialog');

  assert.match(await dialog.innerText(), /Delete To delete\?[^]*can’t be undone/);
  await page.keyboard.press('Escape');
  assert.equal(await link.evaluate((one) => one === document.activeElement), true);
  await link.click();
  await dialog.getByRole('button', { name: 'Delete To delete' }).click();
  await page.waitForURL('**/integrations');
  assert.match(await page.getByRole('main').getByRole('status').first().innerText(), /The integration 'To delete' has been deleted\./);
  await assert.rejects(stack.api('GET', `/integrations/${id}`), /404/);
});

test('an integration of the configuration is viewed, not edited or deleted', async () => {
  await page.goto('/integrations?name=warehouse');

  assert.equal(await page.getByRole('button', { name: /Warehouse bridge is defined by configuration/ }).isDisabled(), true);
  await page.getByRole('link', { name: 'View Warehouse bridge' }).click();
  assert.equal(await page.getByRole('heading', { level: 1 }).innerText(), 'View "Warehouse bridge" Integration');
  assert.equal(await page.getByRole('button', { name: 'Save' }).count(), 0);
  assert.equal(await page.locator('.tree').count(), 0);
  await page.getByRole('link', { name: 'Activate' }).click();
  const dialog = page.getByRole('dialog');
  assert.equal(await dialog.locator('.tree input:not([disabled])').count(), 0);
  assert.equal(await dialog.getByLabel('Products').isChecked(), true);
});

test('without a callback Save & Activate makes the keys at once, shows them, and they sign a call', async () => {
  await page.goto('/integrations/new');
  await page.getByLabel('Name', { exact: true }).fill('Copied by hand');
  await page.getByRole('radio', { name: /^All/ }).check();
  await page.getByLabel('Your Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Save & Activate' }).click();
  await page.getByRole('button', { name: 'Allow' }).click();

  await page.getByRole('heading', { name: 'Copied by hand is active. Keep these keys.' }).waitFor();
  const value = (label) => page.getByLabel(label, { exact: true }).inputValue();
  assert.equal(await page.getByLabel('Consumer Secret', { exact: true }).getAttribute('type'), 'password');
  const keys = { consumer: await value('Consumer Key'), secret: await value('Consumer Secret'), token: await value('Access Token'), tokenSecret: await value('Access Token Secret') };
  const { authorization } = await import('./stack.mjs');
  const url = `${stack.public}/rest/V1/products`;
  const answer = await fetch(url, { headers: { authorization: authorization('GET', url, keys) } });
  assert.equal(answer.status, 200);
  await page.getByRole('link', { name: 'Done' }).click();
  await page.waitForURL('**/integrations');
});

test('keys are shown again to who knows the password, and the audit log says so', async () => {
  const { id } = await make('Shown again');
  const made = await stack.api('POST', `/integrations/${id}/activate`, {});
  await page.goto(`/integrations/${id}`);
  await page.getByRole('link', { name: 'Show the keys again' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Your Password').fill('wrong horse 1');
  await dialog.getByRole('button', { name: 'Show keys' }).click();
  await page.locator('#e-confirm_password').waitFor();

  await page.getByLabel('Your Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Show keys' }).click();
  await page.getByRole('heading', { name: 'The keys of Shown again' }).waitFor();

  assert.equal(await page.getByLabel('Access Token Secret', { exact: true }).inputValue(), made.access_token_secret);
  const { items } = await stack.api('GET', '/audit?limit=1000');
  assert.equal(items.at(-1).action, 'token.shown');
  assert.equal(items.at(-1).actor, 'store-admin');
});

test('a rotated secret is shown once, and the old one stays valid for the chosen time', async () => {
  const { id } = await make('Rotated');
  const made = await stack.api('POST', `/integrations/${id}/activate`, {});
  await page.goto(`/integrations/${id}/rotate`);
  await page.getByLabel('Old secret stays valid for').selectOption('1 hour');
  await page.getByLabel('Your Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Rotate secret' }).click();

  await page.getByRole('heading', { name: 'The new consumer secret of Rotated' }).waitFor();
  const secret = await page.getByLabel('Consumer Secret', { exact: true }).inputValue();
  assert.notEqual(secret, made.consumer_secret);
  assert.equal(secret.length, 32);
});

test('a viewer sees everything but keys, and each control says which role it takes', async () => {
  stack.account('looker', 'viewer');
  const { id } = await make('Looked at');
  const looking = await browser.signedIn(stack, { username: 'looker' });

  await looking.goto('/integrations?name=looked');
  assert.equal(await looking.getByRole('button', { name: /Add New Integration \(needs the role admin\)/ }).isDisabled(), true);
  assert.equal(await looking.getByRole('button', { name: /Activate Looked at \(needs the role operator\)/ }).isDisabled(), true);
  await looking.goto(`/integrations/${id}`);
  assert.match(await looking.locator('.note').first().innerText(), /You can look, not change\. Your role is viewer\. This takes the role admin: ask store-admin/);
  assert.equal(await looking.getByLabel('Name', { exact: true }).isDisabled(), true);
  assert.equal(await looking.getByRole('button', { name: 'Save' }).count(), 0);
  await looking.context().close();
});

test('a form that a role may not send is refused by the API behind it', async () => {
  stack.account('trier', 'viewer');
  const trying = await browser.signedIn(stack, { username: 'trier' });
  await trying.goto('/integrations');
  const csrf = await trying.locator('input[name=csrf]').first().inputValue();

  const answer = await trying.request.post('/integrations', { form: { csrf, name: 'Smuggled', current_password: PASSWORD } });

  assert.equal(answer.status(), 403);
  assert.equal((await stack.api('GET', '/integrations?name=Smuggled')).total, 0);
  await trying.context().close();
});

test('without script the tree is searched by a button that keeps what was typed and ticked', async () => {
  const plain = await browser.signedIn(stack, { javaScriptEnabled: false });
  await plain.goto('/integrations/new');
  await plain.getByLabel('Name', { exact: true }).fill('No script');
  await plain.locator('summary', { hasText: 'Catalog: show or hide' }).click();
  await plain.getByLabel('Products').check();
  await plain.getByLabel('Find a resource').fill('ship');
  await plain.getByRole('button', { name: 'Find' }).click();

  assert.equal(await plain.getByLabel('Name', { exact: true }).inputValue(), 'No script');
  assert.equal(await plain.locator('.tree mark').innerText(), 'Ship orders');
  assert.equal(await plain.locator('input[value="Magento_Catalog::products"]').isVisible(), false);
  await plain.getByLabel('Your Password').fill(PASSWORD);
  await plain.getByRole('button', { name: 'Save', exact: true }).click();
  await plain.waitForURL('**/integrations');
  const { items: [made] } = await stack.api('GET', '/integrations?name=No%20script');
  assert.ok(made.resources.includes('Magento_Catalog::products'));
  await plain.context().close();
});

test('nothing was asked of another host, and the policy had nothing to refuse', async () => {
  assert.deepEqual(page.context().strangers, []);
  assert.deepEqual(page.context().complaints, []);
});
