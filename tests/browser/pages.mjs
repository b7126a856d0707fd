// Every page of the console by name and address, with what is done there before it is looked at, and a gateway with
// something on each.
export async function furnished(stack) {
  const make = (name, more = {}) => stack.api('POST', '/integrations', { name, email: 'ops@partner.example', ...more });
  const sync = await make('Shop sync', { endpoint: 'https://sync.partner.example/oauth', identity_link_url: 'https://sync.partner.example/login', resources: ['Magento_Catalog::catalog', 'Magento_Catalog::products', 'Magento_Sales::sales', 'Magento_Sales::sales_operation', 'Magento_Sales::ship'] });
  const courier = await make('Courier labels', { endpoint: `${stack.partner.url}/callback`, identity_link_url: `${stack.partner.url}/login`, resources: ['Magento_Sales::ship'] });
  const feed = await make('Newsletter feed', { all_resources: true });
  await make('Loyalty points', { endpoint: 'http://points.example/callback' });
  await make('Price watcher with a name that is rather longer than anybody expected it to be when the table was drawn', {});
  stack.partner.answer = 502;
  await stack.api('POST', `/integrations/${courier.id}/activate`, {});
  stack.partner.answer = 200;
  await stack.api('POST', `/integrations/${courier.id}/activate`, {});
  await stack.api('POST', `/integrations/${feed.id}/activate`, {});
  stack.account('ines.duarte', 'operator');
  const url = `${stack.public}/rest/V1/products`;
  const { authorization } = await import('./stack.mjs');
  const keys = await stack.api('POST', `/integrations/${feed.id}/reauthorize`, {});
  const signer = { consumer: keys.consumer_key, secret: keys.consumer_secret, token: keys.access_token, tokenSecret: keys.access_token_secret };
  for (let number = 0; number < 5; number += 1) await fetch(url, { headers: { authorization: authorization('GET', url, signer) } });
  const wrong = authorization('GET', url, { ...signer, tokenSecret: '' });
  await fetch(url, { headers: { authorization: wrong } });
  const { items } = await stack.api('GET', '/integrations?name=warehouse');
  const rejected = await stack.api('GET', '/rejections');
  // Signed without its query: what was built and what was signed differ.
  const unsigned = authorization('GET', url, signer);
  return { rejection: rejected.items[0].request_id, sync: sync.id, courier: courier.id, feed: feed.id, configured: items[0].id, raw: `GET /rest/V1/products?fields=sku%2Cprice HTTP/1.1\nHost: ${new URL(url).host}\nAuthorization: ${unsigned}\n` };
}

export function pages(ids) {
  return [
    ['integrations', '/integrations'],
    ['integrations-nothing', '/integrations?name=shp'],
    ['integration-new', '/integrations/new'],
    ['integration-edit', `/integrations/${ids.sync}`],
    ['integration-signing', `/integrations/${ids.sync}`, (page) => page.getByText('Change how it signs').click()],
    ['integration-view', `/integrations/${ids.configured}`],
    ['permissions', `/integrations/${ids.sync}/permissions`],
    ['permissions-configured', `/integrations/${ids.configured}/permissions`],
    ['permissions-all', `/integrations/${ids.feed}/permissions`],
    ['exchange', `/integrations/${ids.courier}/handshake`],
    ['exchange-none', `/integrations/${ids.feed}/handshake`],
    ['exchange-done', '/integration/loginSuccessCallback'],
    ['show-keys', `/integrations/${ids.feed}/tokens`],
    ['rotate', `/integrations/${ids.feed}/rotate`],
    ['delete', `/integrations/${ids.feed}/delete`],
    ['deactivate', `/integrations/${ids.feed}/deactivate`],
    ['overview', '/'],
    ['rejections', '/rejections'],
    ['rejection', `/rejections/${ids.rejection}`],
    ['explain', '/explain'],
    ['explain-refused', '/explain', (page) => paste(page, 'curl https://shop.example/rest/V1/products', '[role=alert]')],
    ['explained', '/explain', (page) => paste(page, ids.raw, '.verdict')],
    ['debug-token', `/integrations/${ids.feed}/debug-token`],
    ['usage', '/usage'],
    ['routes', '/routes'],
    ['routes-test', '/routes?method=PUT&url=%2Frest%2FV1%2Fproducts%2F24-MB01&as=Courier+labels'],
    ['resources', '/resources'],
    ['limits', '/limits'],
    ['upstreams', '/upstreams'],
    ['audit', '/audit'],
    ['accounts', '/accounts'],
    ['account-new', '/accounts/new'],
    ['account', '/accounts/1'],
    ['account-disable', '/accounts/1/disable'],
    ['totp', '/accounts/1/totp'],
    ['totp-enrolment', '/accounts/1/totp', async (page) => {
      await page.getByRole('button', { name: 'Show the code to scan' }).click();
      await page.locator('.codes').waitFor();
    }],
    ['not-found', '/nowhere'],
  ];
}

async function paste(page, text, answer) {
  await page.getByLabel('Raw request').fill(text);
  await page.getByRole('button', { name: 'Explain' }).click();
  await page.locator(answer).waitFor();
}
