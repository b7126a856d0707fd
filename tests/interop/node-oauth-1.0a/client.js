// oauth-1.0a signs, Node's own fetch sends. Reads one JSON document, prints one JSON line a step.
'use strict';

const crypto = require('node:crypto');
const fs = require('node:fs');
const OAuth = require('oauth-1.0a');

const task = JSON.parse(fs.readFileSync(0, 'utf8'));
const digest = { 'HMAC-SHA1': 'sha1', 'HMAC-SHA256': 'sha256' }[task.signature_method];
const oauth = OAuth({
  consumer: { key: task.consumer_key, secret: task.consumer_secret },
  signature_method: task.signature_method,
  hash_function: (base, key) => crypto.createHmac(digest, key).update(base).digest('base64'),
});

const report = (line) => console.log(JSON.stringify(line));

// The library takes parameters as an object; a repeated name is an array.
function fields(pairs) {
  const object = {};
  for (const [name, value] of pairs) {
    object[name] = name in object ? [].concat(object[name], value) : value;
  }
  return object;
}

async function tokenCall(url, token, verifier) {
  const authorization = oauth.authorize({ url, method: 'POST', data: verifier ? { oauth_verifier: verifier } : {} }, token);
  if (verifier) authorization.oauth_verifier = verifier;
  const response = await fetch(url, { method: 'POST', headers: oauth.toHeader(authorization) });
  const text = await response.text();
  if (!response.ok) throw new Error(`${response.status} ${text}`);
  const answer = new URLSearchParams(text);
  return { key: answer.get('oauth_token'), secret: answer.get('oauth_token_secret') };
}

async function main() {
  const requestToken = await tokenCall(task.request_token_url);
  report({ step: 'request token', status: 200 });
  const token = await tokenCall(task.access_token_url, requestToken, task.verifier);
  report({ step: 'access token', status: 200 });

  for (const step of task.steps) {
    const url = task.base_url + step.path;
    const data = fields([...(step.query || []), ...(step.form || [])]);
    const headers = { ...oauth.toHeader(oauth.authorize({ url, method: step.method, data }, token)) };
    const options = { method: step.method, headers };
    if (step.form) options.body = new URLSearchParams(step.form);
    if (step.json) {
      options.body = step.json;
      headers['Content-Type'] = 'application/json';
    }
    const query = step.query ? `?${new URLSearchParams(step.query)}` : '';
    const response = await fetch(url + query, options);
    report({ step: step.name, status: response.status, body: await response.text() });
  }
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
