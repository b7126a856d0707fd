// Parts of pages that follow along: the stream and its bounds, and what the page makes of it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Browser } from './browser.mjs';
import { authorization, PASSWORD, Stack } from './stack.mjs';

let stack;
let browser;
let page;
before(async () => {
  stack = await Stack.start({ extra: '[[limits]]\nper = "integration"\nrequests = 100\nwindow = "1m"' });
  browser = await Browser.start();
  page = await browser.signedIn(stack);
});
after(async () => { await browser?.stop(); await stack?.stop(); });

async function session(username = 'store-admin') {
  const answer = await fetch(`${stack.admin}/sign-in`, {
    method: 'POST',
    redirect: 'manual',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ username, password: PASSWORD }),
  });
  return answer.headers.getSetCookie()[0].split(';')[0];
}

// A stream read event by event; `ended` holds once the server has closed it.
class Following {
  static async of(path, cookie) {
    const following = new Following();
    following.aborting = new AbortController();
    following.answer = await fetch(`${stack.admin}${path}`, { headers: { cookie }, redirect: 'manual', signal: following.aborting.signal });
    following.events = [];
    following.ended = following.read().catch(() => {});
    return following;
  }

  async read() {
    let text = '';
    for await (const piece of this.answer.body.pipeThrough(new TextDecoderStream())) {
      text += piece;
      const whole = text.split('\n\n');
      text = whole.pop();
      for (const one of whole) {
        const name = /^event: (.*)$/m.exec(one)?.[1];
        const data = [...one.matchAll(/^data: (.*)$/gm)].map((line) => line[1]).join('\n');
        if (name) this.events.push({ name, data, id: /^<\w+[^>]*? id="([^"]+)"/.exec(data)?.[1] });
      }
    }
    return true;
  }

  async until(condition, what) {
    for (let tries = 0; tries < 300; tries += 1) {
      if (condition(this.events)) return;
      await new Promise((resolve) => { setTimeout(resolve, 50); });
    }
    assert.fail(`${what}: ${JSON.stringify(this.events).slice(0, 400)}`);
  }

  async end(within) {
    return Promise.race([this.ended.then(() => true), new Promise((resolve) => { setTimeout(resolve, within, false); })]);
  }

  stop() {
    this.aborting.abort();
    return this.ended;
  }
}

test('events named fragment carry HTML with ids; each beat says as of when, and what did not change is not sent again', async () => {
  const following = await Following.of('/limits/live', await session());
  assert.match(following.answer.headers.get('content-type'), /^text\/event-stream/);
  assert.equal(following.answer.headers.get('cache-control'), 'no-store');

  await following.until((events) => events.filter((one) => one.id === 'as-of').length >= 2, 'two beats');
  await following.stop();

  assert.ok(following.events.every((one) => one.name === 'fragment'));
  assert.equal(following.events.filter((one) => one.id === 'limits').length, 1);
  const said = following.events.filter((one) => one.id === 'as-of').map((one) => one.data);
  assert.notEqual(said[0], said[1]);
});

test('nobody follows without a session, or a page that is not there', async () => {
  const cookie = await session();
  for (const path of ['/live', '/limits/live', '/upstreams/live', '/integrations/1/handshake/live']) {
    const answer = await fetch(`${stack.admin}${path}`, { redirect: 'manual' });
    assert.equal(answer.status, 303, path);
  }
  const unknown = await Following.of('/integrations/999999/handshake/live', cookie);
  await new Promise((resolve) => { setTimeout(resolve, 300); });
  assert.deepEqual(unknown.events, []);
  await unknown.stop();
});

test('of one session four pages follow at once, another session is not held up, and an end makes room', async () => {
  const [cookie, other] = [await session(), await session()];
  const four = [];
  for (let number = 0; number < 4; number += 1) four.push(await Following.of('/limits/live', cookie));
  const fifth = await Following.of('/limits/live', cookie);
  const others = await Following.of('/limits/live', other);

  assert.deepEqual(four.map((one) => one.answer.status), [200, 200, 200, 200]);
  assert.equal(fifth.answer.status, 503);
  assert.equal(fifth.answer.headers.get('retry-after'), '30');
  assert.equal(others.answer.status, 200);
  await four.pop().stop();
  let again;
  for (let tries = 0; tries < 100 && again?.answer.status !== 200; tries += 1) again = await Following.of('/limits/live', cookie);
  assert.equal(again.answer.status, 200);
  for (const one of [...four, others, again]) await one.stop();
});

test('a stream ends with its session: signed out, or the account disabled', async () => {
  stack.account('leaver', 'viewer');
  const cookie = await session('leaver');
  const out = await Following.of('/limits/live', cookie);
  await out.until((events) => events.length > 0, 'a first beat');
  const shown = await (await fetch(`${stack.admin}/limits`, { headers: { cookie } })).text();
  const csrf = /name="csrf" value="([^"]+)"/.exec(shown)[1];
  await fetch(`${stack.admin}/sign-out`, { method: 'POST', redirect: 'manual', headers: { cookie, 'content-type': 'application/x-www-form-urlencoded' }, body: new URLSearchParams({ csrf }) });
  assert.equal(await out.end(12_000), true, 'signed out');

  const disabled = await Following.of('/limits/live', await session('leaver'));
  await disabled.until((events) => events.length > 0, 'a first beat');
  const { items } = await stack.api('GET', '/admins');
  await stack.api('POST', `/admins/${items.find((one) => one.username === 'leaver').id}/disable`);
  assert.equal(await disabled.end(12_000), true, 'disabled');
});

test('the page follows by the stream alone, and says as of when', async () => {
  const { id } = await stack.api('POST', '/integrations', { name: 'Caller', all_resources: true });
  const made = await stack.api('POST', `/integrations/${id}/activate`, {});
  const keys = { consumer: made.consumer_key, secret: made.consumer_secret, token: made.access_token, tokenSecret: made.access_token_secret };
  await page.goto('/limits');
  const asked = [];
  page.on('request', (request) => asked.push(new URL(request.url()).pathname));
  const first = await page.locator('#as-of').innerText();
  const url = `${stack.public}/rest/V1/products`;
  assert.equal((await fetch(url, { headers: { authorization: authorization('GET', url, keys) } })).status, 200);

  await page.locator('#limits td.num', { hasText: /^1$/ }).waitFor({ timeout: 15_000 });
  assert.notEqual(await page.locator('#as-of').innerText(), first);
  assert.ok(!asked.includes('/limits'), asked.join(' '));
});

test('nothing is replaced under somebody who is in it, and what came meanwhile is shown then', async () => {
  const { id } = await stack.api('POST', '/integrations', { name: 'Held', endpoint: `${stack.partner.url}/callback`, identity_link_url: `${stack.partner.url}/login` });
  await stack.api('POST', `/integrations/${id}/activate`, {});
  await page.goto(`/integrations/${id}/handshake`);
  const button = page.getByRole('button', { name: 'Post the keys again' });
  await button.focus();
  await page.locator('#handshake').evaluate((part) => { part.dataset.held = '1'; });
  const before = await page.locator('#as-of').innerText();
  await page.waitForFunction((text) => document.querySelector('#as-of').innerText !== text, before);

  assert.equal(await page.locator('#handshake').getAttribute('data-held'), '1');
  await button.evaluate((one) => one.blur());
  await page.locator('#handshake:not([data-held])').waitFor({ timeout: 2_000 });
});

test('a page whose stream is refused asks by itself', async () => {
  const asking = await browser.signedIn(stack);
  await asking.route('**/upstreams/live', (route) => route.fulfill({ status: 503, body: 'Too many' }));
  await asking.goto('/upstreams');
  const first = await asking.locator('#as-of').innerText();

  await asking.waitForFunction((text) => document.querySelector('#as-of').innerText !== text, first, { timeout: 15_000 });
  assert.equal(await asking.locator('#live.stale').count(), 0);
  await asking.context().close();
});

test('without script the page stands, with a link that reads it again', async () => {
  const context = await browser.open(stack, { javaScriptEnabled: false, storageState: await page.context().storageState() });
  const plain = await context.newPage();
  for (const path of ['/', '/limits', '/upstreams']) {
    await plain.goto(path);
    assert.match(await plain.locator('#live').innerText(), /^As of \d\d:\d\d:\d\d UTC\./);
    await plain.getByRole('link', { name: 'Refresh' }).click();
    assert.equal(new URL(plain.url()).pathname, path);
  }
  await context.close();
});

test('after two missed beats as-of turns amber and the figures stay; a beat turns it back', async () => {
  await page.goto('/limits');
  const colour = () => page.locator('#as-of').evaluate((one) => getComputedStyle(one).color);
  const calm = await colour();
  const figures = await page.locator('#limits').innerText();
  stack.process.kill('SIGSTOP');
  try {
    await page.locator('#live.stale').waitFor({ timeout: 20_000 });
    assert.notEqual(await colour(), calm);
    assert.equal(await page.locator('#limits').innerText(), figures);
  } finally {
    stack.process.kill('SIGCONT');
  }

  await page.locator('#live:not(.stale)').waitFor({ timeout: 15_000 });
  assert.equal(await colour(), calm);
});

test('a gateway that drains ends its streams at once', async () => {
  const following = await Following.of('/live', await session());
  await following.until((events) => events.length > 0, 'a first beat');
  const gone = new Promise((resolve) => { stack.process.once('exit', resolve); });
  stack.process.kill('SIGTERM');

  assert.equal(await following.end(2_000), true);
  await gone;
});
