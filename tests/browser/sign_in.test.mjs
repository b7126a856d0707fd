// Signing in and out, the lock-out, sessions and their cookie.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Browser, signIn } from './browser.mjs';
import { PASSWORD, Stack } from './stack.mjs';

let stack;
let browser;
before(async () => {
  stack = await Stack.start({ extra: '[lockout]\nmax_failures = 3\nduration = "30m"' });
  browser = await Browser.start();
});
after(async () => { await browser?.stop(); await stack?.stop(); });

test('a page asked for without a session leads to the sign-in and back to the page', async () => {
  const context = await browser.open(stack);
  const page = await context.newPage();

  await page.goto('/integrations?status=active');
  assert.equal(new URL(page.url()).pathname, '/sign-in');
  await signIn(page, 'store-admin', PASSWORD);

  await page.waitForURL('**/integrations?status=active');
  await context.close();
});

test('the session cookie is out of the reach of scripts and other sites', async () => {
  const page = await browser.signedIn(stack);

  const [cookie] = (await page.context().cookies()).filter((one) => one.name === 'countersign_session');

  assert.equal(cookie.httpOnly, true);
  assert.equal(cookie.sameSite, 'Strict');
  assert.ok(cookie.expires > Date.now() / 1000 && cookie.expires < Date.now() / 1000 + 12 * 3600 + 60);
  await page.context().close();
});

test('behind TLS the cookie is Secure and has the name that only TLS can set', async () => {
  const answer = await fetch(`${stack.admin}/sign-in`, {
    method: 'POST',
    redirect: 'manual',
    headers: { 'content-type': 'application/x-www-form-urlencoded', 'x-forwarded-proto': 'https' },
    body: new URLSearchParams({ username: 'store-admin', password: PASSWORD }),
  });

  assert.equal(answer.status, 303);
  assert.match(answer.headers.get('set-cookie'), /^__Host-countersign_session=[a-z0-9]{32}; Path=\/; HttpOnly; SameSite=Strict; Max-Age=\d+; Secure$/);
});

test('a session that was planted is not taken over by the sign-in', async () => {
  const context = await browser.open(stack);
  await context.addCookies([{ name: 'countersign_session', value: 'a'.repeat(32), url: stack.admin }]);
  const page = await context.newPage();
  await page.goto('/sign-in');

  await signIn(page, 'store-admin', PASSWORD);
  await page.waitForURL((url) => url.pathname === '/');

  const cookies = (await context.cookies()).filter((one) => one.name === 'countersign_session');
  assert.equal(cookies.length, 1);
  assert.notEqual(cookies[0].value, 'a'.repeat(32));
  await context.close();
});

test('signing out ends the session on the server, not just in the browser', async () => {
  const page = await browser.signedIn(stack);
  const [cookie] = (await page.context().cookies()).filter((one) => one.name === 'countersign_session');

  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.waitForURL('**/sign-in');

  const answer = await fetch(`${stack.admin}/integrations`, { redirect: 'manual', headers: { cookie: `countersign_session=${cookie.value}` } });
  assert.equal(answer.status, 303);
  assert.match(answer.headers.get('location'), /^\/sign-in/);
  await page.context().close();
});

test('a session opens the API for reading, and for changes with its CSRF token alone', async () => {
  const page = await browser.signedIn(stack);
  const [cookie] = (await page.context().cookies()).filter((one) => one.name === 'countersign_session');
  const csrf = await page.locator('form[action="/sign-out"] input[name=csrf]').inputValue();
  const call = (method, headers, body) => fetch(`${stack.admin}/api/v1/integrations`, {
    method,
    headers: { cookie: `countersign_session=${cookie.value}`, 'content-type': 'application/json', ...headers },
    body,
  });

  assert.equal((await call('GET', {})).status, 200);
  assert.equal((await call('POST', {}, '{"name":"By session"}')).status, 403);
  assert.equal((await call('POST', { 'x-csrf-token': `${csrf}x` }, '{"name":"By session"}')).status, 403);
  assert.equal((await call('POST', { 'x-csrf-token': csrf }, '{"name":"By session"}')).status, 201);
  await page.context().close();
});

test('a session is no bearer token', async () => {
  const page = await browser.signedIn(stack);
  const [cookie] = (await page.context().cookies()).filter((one) => one.name === 'countersign_session');

  const answer = await fetch(`${stack.admin}/api/v1/integrations`, { headers: { authorization: `Bearer ${cookie.value}` } });

  assert.equal(answer.status, 401);
  await page.context().close();
});

test('a new password ends the sessions that began with the old one', async () => {
  stack.account('leaver', 'viewer');
  const page = await browser.signedIn(stack, { username: 'leaver' });
  const { items } = await stack.api('GET', '/admins');
  const { id } = items.find((one) => one.username === 'leaver');

  await stack.api('POST', `/admins/${id}/password`, { password: 'another horse 8' });

  await page.goto('/integrations');
  assert.equal(new URL(page.url()).pathname, '/sign-in');
  await page.context().close();
});

test('of one account no more than ten sessions stand', async () => {
  stack.account('many', 'viewer');
  const begin = async () => {
    const answer = await fetch(`${stack.admin}/sign-in`, {
      method: 'POST',
      redirect: 'manual',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ username: 'many', password: PASSWORD }),
    });
    return answer.headers.get('set-cookie').split(';')[0];
  };
  const cookies = [];

  for (let number = 0; number < 12; number += 1) cookies.push(await begin());

  const statuses = await Promise.all(cookies.map(async (cookie) => (await fetch(`${stack.admin}/integrations`, { redirect: 'manual', headers: { cookie } })).status));
  assert.equal(statuses.filter((status) => status === 200).length, 10);
  assert.equal(statuses.at(-1), 200);
});

test('a wrong name and a wrong password get one sentence, and the name stays typed', async () => {
  const context = await browser.open(stack);
  const page = await context.newPage();
  const said = [];
  for (const [name, password] of [['nobody', PASSWORD], ['store-admin', 'wrong horse 1']]) {
    await page.goto('/sign-in');
    await signIn(page, name, password);
    said.push(await page.getByRole('alert').innerText());
    assert.equal(await page.getByLabel('User name').inputValue(), name);
    assert.equal(await page.getByLabel('Password').inputValue(), '');
    assert.equal(await page.evaluate(() => document.activeElement.name), 'password');
  }

  assert.equal(said[0], said[1]);
  assert.match(said[0], /^The account sign-in was incorrect or your account is disabled temporarily/);
  await context.close();
});

test('a name that failed too often is locked, says until when, and the right password waits, too', async () => {
  stack.account('locked-one', 'viewer');
  const context = await browser.open(stack);
  const page = await context.newPage();
  for (let tries = 0; tries < 3; tries += 1) {
    await page.goto('/sign-in');
    await signIn(page, 'locked-one', `wrong horse ${tries}`);
  }

  await signIn(page, 'locked-one', PASSWORD);

  const said = await page.getByRole('alert').innerText();
  assert.match(said, /^Your account is temporarily disabled\. Please try again later\. It opens again at .*\d\d:\d\d:\d\d UTC\./);
  await context.close();
});

test('a flood of sign-ins is told to come again, not that the server broke', async () => {
  const attempt = (number) => fetch(`${stack.admin}/sign-in`, {
    method: 'POST',
    redirect: 'manual',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ username: `flood-${number}`, password: 'wrong horse 1' }),
  });

  const answers = await Promise.all(Array.from({ length: 180 }, (_, number) => attempt(number)));

  const turnedAway = answers.filter((answer) => answer.status === 503);
  assert.ok(turnedAway.length > 0);
  assert.match(await turnedAway[0].text(), /Too many sign-ins are under way/);
  assert.ok(answers.every((answer) => [401, 503].includes(answer.status)), answers.map((answer) => answer.status).join());
});

test('who is not signed in can send no more than a sign-in takes', async () => {
  const body = (length) => new URLSearchParams({ username: 'nobody', password: 'x'.repeat(length) });
  const send = (length) => fetch(`${stack.admin}/sign-in`, { method: 'POST', body: body(length) });

  assert.equal((await send(8 * 1024)).status, 401);
  assert.equal((await send(81 * 1024)).status, 413);
  assert.equal((await fetch(`${stack.admin}/sign-in`, { headers: { filler: 'a'.repeat(200 * 1024) } })).status, 431);
});

test('a form of another site signs nobody in', async () => {
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  const body = new URLSearchParams({ username: 'store-admin', password: PASSWORD });
  const from = (more) => fetch(`${stack.admin}/sign-in`, { method: 'POST', redirect: 'manual', headers: { ...headers, ...more }, body });

  for (const more of [{ 'sec-fetch-site': 'cross-site' }, { origin: 'https://evil.example' }, { origin: 'null' }]) {
    const answer = await from(more);
    assert.equal(answer.status, 403, JSON.stringify(more));
    assert.doesNotMatch(answer.headers.get('set-cookie') ?? '', /countersign_session/);
  }
  assert.equal((await from({ origin: stack.admin })).status, 303);
});
