// `tests/browser/screens [NAME…]`: each page in four shots, wide and phone, light and dark; kept in target/screens.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Browser } from './browser.mjs';
import { furnished, pages } from './pages.mjs';
import { Stack } from './stack.mjs';

const folder = process.env.SCREENS ?? new URL('../../target/screens', import.meta.url).pathname;
const wanted = process.argv.slice(2);
mkdirSync(folder, { recursive: true });
const stack = await Stack.start();
const browser = await Browser.start();
try {
  const ids = await furnished(stack);
  const all = [['signin', '/sign-in'], ...pages(ids)].filter(([name]) => wanted.length === 0 || wanted.includes(name));
  for (const colorScheme of ['light', 'dark']) {
    for (const [size, viewport] of [['wide', { width: 1440, height: 900 }], ['phone', { width: 390, height: 844 }]]) {
      const looks = { colorScheme, viewport, reducedMotion: 'reduce' };
      const page = await browser.signedIn(stack, looks);
      const stranger = await (await browser.open(stack, looks)).newPage();
      for (const [name, path, prepare] of all) {
        const seen = path === '/sign-in' ? stranger : page;
        await seen.goto(path);
        await prepare?.(seen);
        await seen.screenshot({ path: join(folder, `${name}-${size}-${colorScheme}.png`), fullPage: true });
      }
      await page.context().close();
      await stranger.context().close();
    }
  }
  console.log(`${all.length} pages in ${folder}`);
} finally {
  await browser.stop();
  await stack.stop();
}
