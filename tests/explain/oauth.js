// npm `oauth`, each time misused as the case says. usage: oauth.js CASE < task.json
'use strict';

const fs = require('node:fs');
const { createRequire } = require('node:module');

const { OAuth } = createRequire(`${process.cwd()}/`)('oauth');
const task = JSON.parse(fs.readFileSync(0, 'utf8'));
const oauth = new OAuth(null, null, task.consumer_key, task.consumer_secret, '1.0', null, 'HMAC-SHA1');
const url = `${task.url}/rest/V1/products`;
const done = () => {};

const cases = {
  right: () => oauth.get(`${url}?page=2`, task.token, task.token_secret, done),
  'repeated names': () => oauth.get(`${url}?a=3&a=1`, task.token, task.token_secret, done),
  'no token secret': () => oauth.get(url, task.token, undefined, done),
  'line break': () => {
    oauth.get(`${url}?page=2`, task.token, `${task.token_secret}\r\n`, done);
  },
};

cases[process.argv[2]]();
