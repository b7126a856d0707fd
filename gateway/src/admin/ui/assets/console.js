// Progressive enhancement only: every link and form here works without it.
// All text goes in through textContent or through fragments that this server rendered.
const $ = (s, r = document) => r.querySelector(s);
const on = (type, sel, fn) => document.addEventListener(type, (e) => {
  const el = e.target.closest?.(sel);
  if (el) fn(el, e);
});

function toast(text) {
  const box = $('#toasts');
  ($('dialog[open]') || document.body).append(box); // a modal dialog makes the rest inert
  const p = document.createElement('p');
  p.className = 'toast';
  p.textContent = text;
  box.append(p);
  setTimeout(() => p.remove(), 6000);
}

// Copy and reveal -----------------------------------------------------------
on('click', '[data-copy]', async (b) => {
  const from = document.getElementById(b.dataset.copy);
  const text = from.value ?? from.textContent;
  try {
    await navigator.clipboard.writeText(text);
    toast(`${b.dataset.name || 'Text'} copied.`);
  } catch {
    from.focus();
    from.select?.();
    toast('Press Ctrl+C to copy.');
  }
});
on('click', '[data-reveal]', (b) => {
  const f = document.getElementById(b.dataset.reveal);
  const shown = f.type === 'text';
  f.type = shown ? 'password' : 'text';
  b.setAttribute('aria-pressed', String(!shown));
});
// Files of what is shown once, made in the browser: no address has them.
function save(lines, name) {
  const a = document.createElement('a');
  a.href = URL.createObjectURL(new Blob(lines.map((line) => `${line}\n`), { type: 'text/plain' }));
  a.download = name;
  a.click();
  URL.revokeObjectURL(a.href);
}
// The four keys as the command line reads them.
on('click', '[data-env]', (b) => {
  save(b.dataset.env.split(' ').map((id) => `COUNTERSIGN_${id.toUpperCase()}=${document.getElementById(id).value}`), 'countersign.env');
});
on('click', '[data-save]', (b) => save([...document.getElementById(b.dataset.save).children].map((one) => one.textContent), b.dataset.file));
// A window of its own for the other side's sign-in; nothing watches it.
on('click', 'a[data-window]', (a, e) => {
  if (e.metaKey || e.ctrlKey || e.shiftKey) return;
  e.preventDefault();
  window.open(a.href, '_blank', 'noopener,noreferrer,width=680,height=510');
});
function mask(root) {
  for (const b of root.querySelectorAll('[data-reveal]')) document.getElementById(b.dataset.reveal).type = 'password';
}
mask(document);

// Dialogs: a link to a page whose <section data-fragment> is shown over this one
let back = null;
// Come back to after what a dialog sent: it is not open any more.
if (history.state?.dialog) history.replaceState(null, '');
on('click', 'a[data-dialog]', async (a, e) => {
  if (e.metaKey || e.ctrlKey || e.shiftKey) return;
  e.preventDefault();
  a.setAttribute('aria-busy', 'true');
  try {
    const r = await fetch(a.href, { headers: { 'Countersign-Fragment': '1' } });
    if (!r.ok || r.redirected) throw new Error(String(r.status));
    const page = new DOMParser().parseFromString(await r.text(), 'text/html');
    const part = $('[data-fragment]', page);
    const d = $('#dialog');
    part.classList.remove('alone');
    d.replaceChildren(part);
    d.setAttribute('aria-labelledby', part.getAttribute('aria-labelledby'));
    mask(d);
    settleFixed(d);
    if (!d.open) {
      back = a;
      d.showModal();
      // So that the browser's way back closes it, and leaves the page only then.
      history.pushState({ dialog: true }, '');
    }
    $('[autofocus], h1, h2', d)?.focus();
  } catch {
    location.href = a.href;
  } finally {
    a.removeAttribute('aria-busy');
  }
});
on('click', 'dialog [data-close]', (b, e) => { e.preventDefault(); $('#dialog').close(); });
$('#dialog')?.addEventListener('close', () => {
  document.body.append($('#toasts'));
  $('#dialog').replaceChildren();
  if (history.state?.dialog) history.back();
  back?.focus();
});
addEventListener('popstate', () => { if (!history.state?.dialog) $('#dialog')?.close(); });

// Resource tree: a child takes its ancestors along, a parent its children. Only a click ticks: what is granted is shown as
// it stands.
const kids = (li) => [...li.querySelectorAll(':scope > details > ul > li')];
const box = (li) => li.querySelector(':scope > .n > .box');
function settle(li) {
  const c = kids(li);
  c.forEach(settle);
  const b = box(li);
  if (c.length && b) {
    const own = [...li.querySelectorAll(':scope ul .box')];
    const n = own.filter((x) => x.checked).length;
    b.indeterminate = n > 0 && (n < own.length || !b.checked);
    const t = li.querySelector(':scope > .n > .tag');
    if (t) t.textContent = `${n} of ${own.length}`;
  }
}
// One that is only shown: branches that are granted in part say so, too.
function settleFixed(part) {
  for (const tree of part.querySelectorAll('.tree.fixed')) [...tree.children].forEach(settle);
}
settleFixed(document);
for (const tree of document.querySelectorAll('.tree[data-live]')) {
  const roots = [...tree.children];
  const sum = () => {
    roots.forEach(settle);
    const leaf = [...tree.querySelectorAll('.box')];
    $('#granted').textContent = `${leaf.filter((b) => b.checked).length} of ${leaf.length} granted`;
  };
  tree.addEventListener('change', (e) => {
    const li = e.target.closest('li');
    const below = [...li.querySelectorAll(':scope ul .box')];
    const n = below.filter((b) => b.checked).length;
    // A branch that is ticked in part is ticked whole first, and cleared by the next click.
    if (n > 0 && n < below.length) e.target.checked = true;
    for (const b of below) b.checked = e.target.checked;
    for (let p = li.parentElement.closest('li'); p; p = p.parentElement.closest('li')) {
      if (e.target.checked) box(p).checked = true;
    }
    sum();
  });
  $('#find')?.addEventListener('keydown', (e) => { if (e.key === 'Enter') e.preventDefault(); });
  $('#find')?.addEventListener('input', (e) => {
    const q = e.target.value.trim().toLowerCase();
    for (const li of tree.querySelectorAll('li')) {
      li.hidden = q !== '' && !li.textContent.toLowerCase().includes(q);
      const d = li.querySelector(':scope > details');
      if (d && q && !li.hidden) d.open = true;
    }
    $('#found').hidden = !q || [...tree.querySelectorAll('li')].some((li) => !li.hidden);
  });
  sum();
}

// Forms: say what is unsaved, show progress, keep what was typed ------------
for (const f of document.querySelectorAll('form[data-guard]')) {
  let dirty = false;
  f.addEventListener('input', () => { dirty = true; $('.say', f).textContent = 'Not saved yet.'; });
  f.addEventListener('submit', () => { dirty = false; });
  addEventListener('beforeunload', (e) => { if (dirty) e.preventDefault(); });
}
on('submit', 'form', (f, e) => { if (!e.defaultPrevented) e.submitter?.setAttribute('aria-busy', 'true'); });

// Back into a form whose session had ended.
$('form[data-go]')?.requestSubmit();

on('change', '.filter[data-auto] select', (s) => s.form.requestSubmit());

// Lists: sorting, paging and filtering replace the section, the address stays true
async function swap(part, url) {
  part.setAttribute('aria-busy', 'true');
  try {
    const r = await fetch(url, { headers: { 'Countersign-Fragment': '1' } });
    const next = $(`#${part.id}`, new DOMParser().parseFromString(await r.text(), 'text/html'));
    const at = document.activeElement?.id;
    part.replaceWith(next);
    history.replaceState(null, '', url);
    if (at) document.getElementById(at)?.focus();
  } catch {
    location.href = url;
  }
}
on('click', '[data-swap] a[href^="?"]', (a, e) => {
  if (e.metaKey || e.ctrlKey || e.shiftKey) return;
  e.preventDefault();
  swap(a.closest('[data-swap]'), a.href);
});
on('submit', '[data-swap] form[method="get"]', (f, e) => {
  e.preventDefault();
  swap(f.closest('[data-swap]'), `?${new URLSearchParams(new FormData(f))}`);
});
if ($('[data-closes]')) setTimeout(() => close(), 1000);

document.addEventListener('keydown', (e) => {
  const s = $('[data-slash]');
  if (e.key !== '/' || !s || e.target.closest('input, textarea, select, dialog')) return;
  e.preventDefault();
  s.focus();
});
$('.err')?.closest('.field')?.querySelector('.in')?.focus();

// Live parts: the server sends what changed, by id; where it can't, the page is asked again. Nothing is replaced under
// somebody who is in it: it waits. Two beats missed and the page says that it is old; what stands on it stays.
const waiting = new Map();
function settleParts() {
  for (const [id, next] of waiting) {
    const old = document.getElementById(id);
    if (old && (old.contains(document.activeElement) || $('dialog[open]'))) continue;
    waiting.delete(id);
    if (!old) continue;
    const open = new Set([...old.querySelectorAll('details')].flatMap((d, i) => (d.open ? [i] : [])));
    [...next.querySelectorAll('details')].forEach((d, i) => { d.open = open.has(i); });
    old.replaceWith(next);
  }
}
function take(page, ids) {
  for (const id of ids) {
    const next = page.getElementById(id);
    if (next) waiting.set(id, next);
  }
  settleParts();
}
document.addEventListener('focusout', () => setTimeout(settleParts));
function follow(mark) {
  const beat = Number(mark.dataset.beat);
  let source = null;
  let heard = Date.now();
  let asked = 0;
  const hear = () => { heard = Date.now(); mark.classList.remove('stale'); };
  const parse = (text) => new DOMParser().parseFromString(text, 'text/html');
  const stop = () => { source?.close(); source = null; };
  const ask = async () => {
    asked = Date.now();
    try {
      const r = await fetch(location.href, { headers: { 'Countersign-Fragment': '1' } });
      if (!r.ok || r.redirected) throw new Error(String(r.status));
      const page = parse(await r.text());
      take(page, ['as-of', ...[...document.querySelectorAll('[data-refresh], [data-also]')].map((one) => one.id)]);
      hear();
    } catch {
      // The beat is missed.
    }
  };
  const listen = () => {
    source = new EventSource(mark.dataset.liveUrl);
    source.addEventListener('fragment', (e) => {
      const page = parse(e.data);
      take(page, [...page.body.children].map((one) => one.id));
      hear();
    });
    source.addEventListener('final', () => { stop(); clearInterval(watch); });
  };
  const watch = setInterval(() => {
    if (document.hidden) return;
    if (Date.now() - heard > 2.5 * beat) mark.classList.add('stale');
    // Refused for good, as too many of them are: then by asking.
    if (source?.readyState === EventSource.CLOSED && Date.now() - Math.max(heard, asked) >= beat) ask();
  }, 500);
  // A page that nobody sees holds no connection: a browser has only a few of them to one server.
  document.addEventListener('visibilitychange', () => {
    stop();
    if (!document.hidden) { hear(); listen(); }
  });
  addEventListener('pagehide', stop);
  listen();
}
if ($('[data-live-url]')) follow($('[data-live-url]'));
