// One gateway with its store, an upstream and the other side of an integration, all as real processes and sockets.
import { spawn, spawnSync } from 'node:child_process';
import { createHmac, randomBytes, randomInt } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync, openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createListener } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export const BINARY = process.env.COUNTERSIGN_BINARY ?? new URL('../../target/debug/countersign', import.meta.url).pathname;
export const PASSWORD = 'correct horse 7';

const RESOURCES = [
  ['Magento_Backend::admin', 'Magento Admin', null],
  ['Magento_Sales::sales', 'Sales', 'Magento_Backend::admin'],
  ['Magento_Sales::sales_operation', 'Operations', 'Magento_Sales::sales'],
  ['Magento_Sales::actions_view', 'View orders', 'Magento_Sales::sales_operation'],
  ['Magento_Sales::ship', 'Ship orders', 'Magento_Sales::sales_operation'],
  ['Magento_Sales::cancel', 'Cancel orders', 'Magento_Sales::sales_operation'],
  ['Magento_Catalog::catalog', 'Catalog', 'Magento_Backend::admin'],
  ['Magento_Catalog::products', 'Products', 'Magento_Catalog::catalog'],
  ['Magento_Catalog::categories', 'Categories', 'Magento_Catalog::catalog'],
  ['Magento_Customer::customer', 'Customers', 'Magento_Backend::admin'],
  ['Magento_Customer::manage', 'All customers', 'Magento_Customer::customer'],
];

const ROUTES = [
  ['/rest/{store?}/V1/products', ['GET', 'POST'], 'Magento_Catalog::products'],
  ['/rest/{store?}/V1/products/{sku}', ['GET', 'PUT', 'DELETE'], 'Magento_Catalog::products'],
  ['/rest/{store?}/V1/categories', ['GET'], 'Magento_Catalog::categories'],
  ['/rest/{store?}/V1/orders', ['GET'], 'Magento_Sales::actions_view'],
  ['/rest/{store?}/V1/order/{id}/ship', ['POST'], 'Magento_Sales::ship'],
  ['/rest/{store?}/V1/customers/search', ['GET'], 'Magento_Customer::customer'],
  ['/rest/{store?}/V1/customers/me', ['GET'], 'self'],
  ['/rest/{store?}/V1/directory/countries', ['GET'], 'anonymous'],
];

function configuration(ports, extra) {
  const resources = RESOURCES.map(([id, title, parent], order) => `
[[resources]]
id = "${id}"
title = "${title}"
order = ${order}
${parent ? `parent = "${parent}"` : ''}`);
  const routes = ROUTES.map(([path, methods, needs]) => `
[[routes]]
path = "${path}"
methods = ${JSON.stringify(methods)}
upstream = "storefront"
resources = ["${needs}"]`);
  return `
[public]
listen = ["127.0.0.1:${ports.public}"]
base_url = "http://127.0.0.1:${ports.public}"
[admin]
listen = "127.0.0.1:${ports.admin}"
[store]
url = "embedded:store"
[callbacks]
timeout = "5s"
allow = ["127.0.0.1/32:${ports.partner}"]
[upstreams.storefront]
targets = ["http://127.0.0.1:${ports.upstream}"]
${extra}
${resources.join('\n')}
${routes.join('\n')}
[[integrations]]
name = "Warehouse bridge"
email = "it@warehouse.example"
endpoint = "https://bridge.warehouse.example/oauth"
identity_link_url = "https://bridge.warehouse.example/login"
resources = ["Magento_Sales::actions_view", "Magento_Catalog::products"]
`;
}

// A file of tests that takes too long is ended by this signal, and its gateway with it.
process.once('SIGTERM', () => process.exit(143));

export class Stack {
  static async start({ extra = '' } = {}) {
    const stack = new Stack();
    try {
      await stack.begin(extra);
    } catch (error) {
      await stack.stop();
      throw error;
    }
    return stack;
  }

  async begin(extra) {
    this.folder = mkdtempSync(join(tmpdir(), 'countersign-browser-'));
    this.partner = await Partner.start();
    this.upstream = await listen(createServer((request, response) => {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ sku: '24-MB01', name: 'Joust Duffle Bag' }));
    }));
    const ports = {
      public: await freePort(),
      admin: await freePort(),
      partner: this.partner.port,
      upstream: this.upstream.address().port,
    };
    this.public = `http://127.0.0.1:${ports.public}`;
    this.admin = `http://127.0.0.1:${ports.admin}`;
    this.partner.gateway = this.public;
    this.config = join(this.folder, 'countersign.toml');
    writeFileSync(this.config, configuration(ports, extra));
    this.account('store-admin', 'admin');
    this.log = join(this.folder, 'gateway.log');
    const log = openSync(this.log, 'a');
    this.process = spawn(BINARY, ['serve', '--config', this.config], {
      cwd: this.folder,
      stdio: ['ignore', log, log],
    });
    process.once('exit', () => this.process.kill('SIGKILL'));
    await this.ready();
    await this.signIn();
  }

  // Straight in the store, or through the running gateway's control socket.
  account(username, role) {
    const made = spawnSync(BINARY, ['admin', 'create', '--config', this.config, '--username', username, '--role', role], {
      cwd: this.folder,
      env: { ...process.env, COUNTERSIGN_ADMIN_PASSWORD: PASSWORD },
      encoding: 'utf8',
    });
    if (made.status !== 0) throw new Error(`admin create: ${made.stderr}`);
  }

  async ready() {
    for (let tries = 0; tries < 600; tries += 1) {
      if (this.process.exitCode !== null) break;
      const answer = await fetch(`${this.admin}/health/ready`).catch(() => null);
      if (answer?.ok) return;
      await sleep(50);
    }
    throw new Error(`the gateway did not start\n${readFileSync(this.log, 'utf8')}`);
  }

  async signIn() {
    const { token } = await this.api('POST', '/tokens', { username: 'store-admin', password: PASSWORD });
    this.token = token;
  }

  // A call of the admin API as the admin, with a bearer token.
  async api(method, path, body) {
    const answer = await fetch(`${this.admin}/api/v1${path}`, {
      method,
      headers: {
        'content-type': 'application/json',
        'if-match': '*',
        ...(this.token ? { authorization: `Bearer ${this.token}` } : {}),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return JSON.parse(text);
  }

  async stop() {
    if (this.process && this.process.exitCode === null) {
      const ended = new Promise((resolve) => { this.process.once('exit', resolve); });
      this.process.kill('SIGTERM');
      await Promise.race([ended, sleep(10_000)]);
      if (this.process.exitCode === null) this.process.kill('SIGKILL');
    }
    this.partner?.server.close();
    this.upstream?.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

// The other side: its callback receives the keys, its login page performs the handshake and sends the window back.
export class Partner {
  static async start() {
    const partner = new Partner();
    partner.posts = [];
    partner.answer = 200;
    partner.server = await listen(createServer((request, response) => partner.serve(request, response)));
    partner.port = partner.server.address().port;
    partner.url = `http://127.0.0.1:${partner.port}`;
    return partner;
  }

  async serve(request, response) {
    const url = new URL(request.url, this.url);
    if (request.method === 'POST') {
      let text = '';
      for await (const part of request) text += part;
      this.posts.push(Object.fromEntries(new URLSearchParams(text)));
      response.statusCode = this.answer;
      response.end(this.answer === 200 ? '' : 'no room for more shops');
      return;
    }
    response.setHeader('content-type', 'text/html; charset=utf-8');
    if (url.pathname === '/login') {
      const back = url.searchParams.get('success_call_back');
      const key = url.searchParams.get('oauth_consumer_key');
      response.end(`<!doctype html><title>Partner</title><h1>Partner</h1><form action="/in">
        <input type="hidden" name="key" value="${key}"><input type="hidden" name="back" value="${back}"><button>Sign in here</button></form>`);
      return;
    }
    if (url.pathname === '/in') {
      const access = await this.handshake(this.posts.findLast((post) => post.oauth_consumer_key === url.searchParams.get('key')));
      this.access = access;
      response.statusCode = 303;
      response.setHeader('location', url.searchParams.get('back'));
    }
    response.end();
  }

  // Request token, access token: signed by this file, from RFC 5849 alone.
  async handshake(post) {
    const keys = { consumer: post.oauth_consumer_key, secret: post.oauth_consumer_secret, token: '', tokenSecret: '' };
    const request = await this.token('/oauth/token/request', keys, {});
    keys.token = request.oauth_token;
    keys.tokenSecret = request.oauth_token_secret;
    const access = await this.token('/oauth/token/access', keys, { oauth_verifier: post.oauth_verifier });
    return { ...keys, token: access.oauth_token, tokenSecret: access.oauth_token_secret };
  }

  async token(path, keys, more) {
    const url = `${this.gateway}${path}`;
    const answer = await fetch(url, { method: 'POST', headers: { authorization: authorization('POST', url, keys, more) } });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${text}`);
    return Object.fromEntries(new URLSearchParams(text));
  }
}

const encode = (text) => encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

// RFC 5849 section 3.4, HMAC-SHA256.
export function authorization(method, address, keys, more = {}) {
  const url = new URL(address);
  const oauth = {
    oauth_consumer_key: keys.consumer,
    oauth_nonce: randomBytes(12).toString('hex'),
    oauth_signature_method: 'HMAC-SHA256',
    oauth_timestamp: String(Math.floor(Date.now() / 1000)),
    oauth_version: '1.0',
    ...(keys.token ? { oauth_token: keys.token } : {}),
    ...more,
  };
  const pairs = [...Object.entries(oauth), ...url.searchParams].map(([name, value]) => [encode(name), encode(value)]);
  pairs.sort(([a, b], [c, d]) => (a < c || (a === c && b < d) ? -1 : 1));
  const base = [method, `${url.origin}${url.pathname}`, pairs.map((pair) => pair.join('=')).join('&')].map(encode).join('&');
  const key = `${encode(keys.secret)}&${encode(keys.tokenSecret ?? '')}`;
  oauth.oauth_signature = createHmac('sha256', key).update(base).digest('base64');
  return `OAuth ${Object.entries(oauth).map(([name, value]) => `${name}="${encode(value)}"`).join(', ')}`;
}

function listen(server) {
  return new Promise((resolve) => { server.listen(0, '127.0.0.1', () => resolve(server)); });
}

// Below the ports that the system gives to outgoing connections, so that none of those takes it meanwhile.
async function freePort() {
  for (;;) {
    const port = randomInt(10_000, 30_000);
    const server = createListener();
    const free = await new Promise((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (!free) continue;
    await new Promise((resolve) => { server.close(resolve); });
    return port;
  }
}

