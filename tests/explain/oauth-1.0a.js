// oauth-1.0a, each time misused as the case says. usage: oauth-1.0a.js CASE < task.json
'use strict';

const crypto = require('node:crypto');
const fs = require('node:fs');
const http = require('node:http');
const { createRequire } = require('node:module');

const OAuth = createRequire(`${process.cwd()}/`)('oauth-1.0a');
const task = JSON.parse(fs.readFileSync(0, 'utf8'));
const URL_ = `${task.url}/rest/V1/products`;
const token = { key: task.token, secret: task.token_secret };
const hmac = (hash, encoding) => (base, key) => crypto.createHmac(hash, key).update(base).digest(encoding);

function signer(options) {
  return OAuth({
    consumer: { key: task.consumer_key, secret: task.consumer_secret },
    signature_method: 'HMAC-SHA1',
    hash_function: hmac('sha1', 'base64'),
    ...options,
  });
}

// Sends to the recorder, whatever was signed.
function send(oauth, signed, sent = {}) {
  const header = oauth.toHeader(oauth.authorize({ method: 'GET', url: URL_, ...signed }, 'token' in sent ? sent.token : token));
  const place = new URL(task.url);
  const request = http.request({
    host: place.hostname,
    port: place.port,
    method: sent.method || signed.method || 'GET',
    path: sent.path || '/rest/V1/products',
    headers: { Host: sent.host || place.host, ...header, ...(sent.headers || {}) },
  });
  request.on('error', (error) => { console.error(error); process.exit(1); });
  request.end(sent.body);
}

const form = { 'Content-Type': 'application/x-www-form-urlencoded' };
const json = { 'Content-Type': 'application/json' };
const payload = JSON.stringify({ sku: 'a-1', qty: 2 });

const cases = {
  right: () => send(signer(), { url: `${URL_}?page=2` }, { path: '/rest/V1/products?page=2' }),
  'last_ampersand': () => send(signer({ last_ampersand: false }), {}, { token: undefined }),
  'JSON as data': () => send(signer(), { method: 'POST', data: JSON.parse(payload) }, { headers: json, body: payload }),
  'JSON as a form': () => send(signer(), { method: 'POST' }, { headers: form, body: payload }),
  'form not given': () => send(signer(), { method: 'POST' }, { headers: form, body: 'name=Jane&n=1' }),
  'default port': () => send(signer(), { url: 'http://shop.example:80/rest/V1/products' }, { host: 'shop.example' }),
  'host as typed': () => send(signer(), { url: 'http://Shop.Example/rest/V1/products' }, { host: 'shop.example' }),
  'no path': () => send(signer(), { url: task.url }, { path: '/' }),
  'plus': () => send(signer(), { url: `${URL_}?q=a+b` }, { path: '/rest/V1/products?q=a+b' }),
  'encoded names': () => send(signer(), { url: `${URL_}?a%5Bb%5D=1` }, { path: '/rest/V1/products?a%5Bb%5D=1' }),
  'second =': () => send(signer(), { url: `${URL_}?q=a=b` }, { path: '/rest/V1/products?q=a=b' }),
  'array names': () => send(signer(), { data: { a: ['1', '2'] } }, { path: '/rest/V1/products?a%5B%5D=1&a%5B%5D=2' }),
  'String(array)': () => send(signer(), { data: { a: String(['1', '2']) } }, { path: '/rest/V1/products?a=1&a=2' }),
  'HTML': () => send(signer(), { data: { a: '1', b: '2' } }, { path: '/rest/V1/products?a=1&amp;b=2' }),
  'override': () => send(signer(), { method: 'PUT' }, { method: 'POST', headers: { 'X-HTTP-Method-Override': 'PUT', 'Content-Length': 0 } }),
  'double path encoding': () => send(signer(), { url: `${URL_}/a%2520b` }, { path: '/rest/V1/products/a%20b' }),
  'arguments exchanged': () => send(signer({ hash_function: (base, key) => hmac('sha1', 'base64')(key, base) }), {}),
  'hex': () => send(signer({ hash_function: hmac('sha1', 'hex') }), {}),
  'base64url': () => send(signer({ nonce_length: 32, hash_function: hmac('sha1', 'base64url') }), {}),
  'base64 of hex': () => send(signer({ hash_function: (base, key) => Buffer.from(hmac('sha1', 'hex')(base, key)).toString('base64') }), {}),
  'SHA1 for SHA256': () => send(signer({ signature_method: 'HMAC-SHA256' }), {}),
  'undefined': () => {
    const oauth = signer();
    oauth.consumer.secret = `${undefined}`;
    send(oauth, {});
  },
};

cases[process.argv[2]]();
