// The form of an integration: what a save grants, which key saves, what is seen of the tree.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Browser } from './browser.mjs';
import { PASSWORD, Stack } from './stack.mjs';

let stack;
let browser;
before(async () => {
  stack = await Stack.start();
  browser = await Browser.start();
});
after(async () => { await browser?.stop(); await stack?.stop(); });

const make = (name, more = {}) => stack.api('POST', '/integrations', { name, ...more });
const open = (page, title) => page.locator('summary', { hasText: `${title}: show or hide` }).click();

for (const javaScriptEnabled of [true, false]) {
  const how = javaScriptEnabled ? 'with script' : 'without script';

  test(`a save that touches no tick changes no grant, ${how}`, async () => {
    const resources = ['Magento_Customer::manage', 'Magento_Sales::sales'];
    const { id } = await make(`Narrow ${how}`, { resources });
    const page = await browser.signedIn(stack, { javaScriptEnabled });
    const save = async () => {
      await page.getByLabel('Your Password').fill(PASSWORD);
      await page.getByRole('button', { name: 'Save', exact: true }).click();
      await page.waitForURL('**/integrations');
      return stack.api('GET', `/integrations/${id}`);
    };
    await page.goto(`/integrations/${id}`);
    await page.getByLabel('Email').fill('other@partner.example');

    const saved = await save();
    assert.equal(saved.email, 'other@partner.example');
    assert.deepEqual(saved.resources, resources);

    await page.goto(`/integrations/${id}`);
    await open(page, 'Catalog');
    await page.getByLabel('Products').check();
    const more = ['Magento_Backend::admin', 'Magento_Catalog::catalog', 'Magento_Catalog::products'];
    assert.deepEqual((await save()).resources, [...more, ...resources].sort());
    await page.context().close();
  });
}
