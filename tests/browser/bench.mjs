// `tests/browser/bench [COUNT]`: the server's time of each page with 10,000 integrations; median and worst of 20, in ms.
// Time on the wire within this machine counts, the browser's does not. Use a release build for figures that mean something.
import { furnished, pages } from './pages.mjs';
import { BINARY, PASSWORD, Stack } from './stack.mjs';

const count = Number(process.argv[2] ?? 10_000);
const rounds = 20;
const stack = await Stack.start();
try {
  const ids = await furnished(stack);
  for (let made = 0; made < count; made += 50) {
    await Promise.all(Array.from({ length: Math.min(50, count - made) }, (_, place) => stack.api('POST', '/integrations', {
      name: `Integration ${made + place}`,
      email: 'ops@partner.example',
      endpoint: `https://partner-${made + place}.example/callback`,
      resources: ['Magento_Catalog::products', 'Magento_Sales::ship'],
    })));
  }
  const signedIn = await fetch(`${stack.admin}/sign-in`, {
    method: 'POST',
    redirect: 'manual',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ username: 'store-admin', password: PASSWORD }),
  });
  const cookie = signedIn.headers.get('set-cookie').split(';')[0];
  const listed = [['sign-in', '/sign-in', ''], ...pages(ids).filter(([, , prepare]) => !prepare), ['integrations-by-name', '/integrations?sort=-name&name=9'], ['usage-by-name', '/usage?q=99']];
  const slow = [];
  console.log(`${BINARY}, ${count} integrations; ms: median, worst of ${rounds}`);
  for (const [name, path, own] of listed) {
    const times = [];
    for (let round = 0; round <= rounds; round += 1) {
      const began = performance.now();
      const answer = await fetch(stack.admin + path, { redirect: 'manual', headers: own === '' ? {} : { cookie, accept: 'text/html' } });
      await answer.text();
      if (round > 0) times.push(performance.now() - began);
    }
    times.sort((one, other) => one - other);
    const [median, worst] = [times[rounds / 2], times[rounds - 1]];
    if (median > 20) slow.push(name);
    console.log(`${name.padEnd(26)} ${median.toFixed(1).padStart(7)} ${worst.toFixed(1).padStart(7)}`);
  }
  console.log(slow.length === 0 ? 'all pages under 20 ms' : `over 20 ms: ${slow.join(', ')}`);
} finally {
  await stack.stop();
}
