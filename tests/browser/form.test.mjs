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

  test(`the tree of an integration with all resources is seen once Custom is chosen, ${how}`, async () => {
    const { id } = await make(`All ${how}`, { all_resources: true });
    const page = await browser.signedIn(stack, { javaScriptEnabled });
    await page.goto(`/integrations/${id}`);
    const tree = page.getByLabel('Find a resource');
    const hint = page.getByText('takes the ones above it along');

    assert.deepEqual([await tree.isVisible(), await hint.isVisible()], [false, false]);
    await page.getByRole('radio', { name: /^Custom/ }).check();
    assert.deepEqual([await tree.isVisible(), await hint.isVisible()], [true, true]);
    await page.context().close();
  });

  test(`the enter key saves a new integration and an edited one, ${how}`, async () => {
    const page = await browser.signedIn(stack, { javaScriptEnabled });
    const named = async (name) => (await stack.api('GET', `/integrations?name=${encodeURIComponent(name)}`)).items;
    await page.goto('/integrations/new');
    await page.getByLabel('Name', { exact: true }).fill(`Entered ${how}`);
    await page.getByLabel('Your Password').fill(PASSWORD);
    await page.getByLabel('Your Password').press('Enter');
    await page.waitForURL('**/integrations');
    const [made] = await named(`Entered ${how}`);

    await page.goto(`/integrations/${made.id}`);
    await page.getByLabel('Your Password').fill(PASSWORD);
    await page.getByLabel('Email').fill('other@partner.example');
    await page.getByLabel('Email').press('Enter');
    await page.waitForURL('**/integrations');

    assert.equal((await named(`Entered ${how}`))[0].email, 'other@partner.example');
    await page.context().close();
  });

  test(`the enter key in the search of the tree searches and saves nothing, ${how}`, async () => {
    const page = await browser.signedIn(stack, { javaScriptEnabled });
    await page.goto('/integrations/new');
    await page.getByLabel('Name', { exact: true }).fill(`Sought ${how}`);
    await page.getByLabel('Find a resource').pressSequentially('ship');
    await page.getByLabel('Find a resource').press('Enter');

    await page.locator('#r-Magento_Catalog-catalog').waitFor({ state: 'hidden' });
    assert.equal(await page.locator('#r-Magento_Sales-ship').isVisible(), true);
    assert.equal(await page.getByLabel('Name', { exact: true }).inputValue(), `Sought ${how}`);
    assert.equal(await page.getByRole('alert').count(), 0);
    await page.context().close();
  });
}

test('a click on a branch that is ticked in part ticks all of it, and the next one clears it', async () => {
  const { id } = await make('Partly', { resources: ['Magento_Sales::sales', 'Magento_Sales::ship'] });
  const page = await browser.signedIn(stack);
  await page.goto(`/integrations/${id}`);
  const branch = page.locator('#r-Magento_Sales-sales');
  const ticked = () => page.locator('li:has(> .n > #r-Magento_Sales-sales) .box:checked').count();
  assert.equal(await branch.evaluate((box) => box.indeterminate), true);

  await branch.click();
  assert.deepEqual([await ticked(), await branch.evaluate((box) => box.indeterminate)], [5, false]);

  await branch.click();
  assert.equal(await ticked(), 0);
  await page.context().close();
});

test('what has the focus is never behind the bar with the buttons', async () => {
  const page = await browser.signedIn(stack, { viewport: { width: 1280, height: 900 } });
  await page.goto('/integrations/new');
  await page.getByText('Change how it signs').click();
  await page.getByLabel('Name', { exact: true }).focus();
  const hidden = [];
  for (let presses = 0; presses < 80; presses += 1) {
    await page.keyboard.press('Tab');
    const covered = await page.evaluate(() => {
      const one = document.activeElement;
      if (one.closest('.savebar') || !one.closest('main')) return one.closest('main') ? null : 'left';
      const bar = document.querySelector('.savebar').getBoundingClientRect();
      return one.getBoundingClientRect().bottom > bar.top ? one.name || one.textContent : null;
    });
    if (covered === 'left') break;
    if (covered) hidden.push(covered);
  }

  assert.deepEqual(hidden, []);
  await page.context().close();
});

test('the way back closes a dialog and leaves the page only then, and so does closing it by hand', async () => {
  const { id } = await make('Backwards');
  const page = await browser.signedIn(stack);
  const dialog = page.getByRole('dialog');
  const link = page.getByRole('link', { name: 'Delete', exact: true });
  const isFocused = () => link.evaluate((one) => one === document.activeElement);
  await page.goto('/accounts');
  await page.goto(`/integrations/${id}`);
  const address = page.url();

  for (const close of [() => page.goBack(), () => page.keyboard.press('Escape'), () => dialog.getByRole('link', { name: 'Keep it' }).click()]) {
    await link.click();
    await dialog.waitFor();
    await close();
    await dialog.waitFor({ state: 'hidden' });
    assert.equal(page.url(), address);
    assert.equal(await isFocused(), true);
  }

  await page.waitForFunction(() => !history.state?.dialog);
  await page.goBack();
  assert.equal(new URL(page.url()).pathname, '/accounts');
  await page.context().close();
});
