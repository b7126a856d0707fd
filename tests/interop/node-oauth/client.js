// npm `oauth` signs and sends. Reads one JSON document, prints one JSON line a step.
'use strict';

const fs = require('node:fs');
const querystring = require('node:querystring');
const { OAuth } = require('oauth');

const task = JSON.parse(fs.readFileSync(0, 'utf8'));
const report = (line) => console.log(JSON.stringify(line));
const oauth = new OAuth(
  task.request_token_url,
  task.access_token_url,
  task.consumer_key,
  task.consumer_secret,
  '1.0',
  'oob',
  task.signature_method,
);

const encode = (pairs) => pairs.map((pair) => pair.map(querystring.escape).join('=')).join('&');
const fail = (error) => {
  console.error(error);
  process.exit(1);
};

function call(step, key, secret) {
  const url = task.base_url + step.path + (step.query ? `?${encode(step.query)}` : '');
  return new Promise((resolve, reject) => {
    const done = (error, data, response) => {
      if (!response) return reject(error);
      report({ step: step.name, status: response.statusCode, body: data });
      return resolve();
    };
    const body = step.form ? Object.fromEntries(step.form) : step.json;
    const type = step.form ? undefined : 'application/json';
    switch (step.method) {
      case 'GET': return oauth.get(url, key, secret, done);
      case 'DELETE': return oauth.delete(url, key, secret, done);
      case 'PUT': return oauth.put(url, key, secret, body, type, done);
      default: return oauth.post(url, key, secret, body, type, done);
    }
  });
}

oauth.getOAuthRequestToken((requestError, requestToken, requestSecret) => {
  if (requestError) return fail(requestError);
  report({ step: 'request token', status: 200 });
  return oauth.getOAuthAccessToken(requestToken, requestSecret, task.verifier, async (accessError, key, secret) => {
    if (accessError) return fail(accessError);
    report({ step: 'access token', status: 200 });
    try {
      for (const step of task.steps) await call(step, key, secret);
    } catch (error) {
      fail(error);
    }
    return undefined;
  });
});
