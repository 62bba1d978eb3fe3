// review.js - the review page. State: what is filtered (filter), the list as far as it was fetched (pages), the row that is shown (shown).
// Invariants: texts of the data reach the page as text nodes only; nothing is shown as done before the server has answered that it is on disk; an answer
// that belongs to an earlier filter or row is thrown away. To add an action: a row in `keys`, a button in review.html, a function here.
'use strict';

const $ = id => document.getElementById(id);
const ITEM = 66, PAGE = 60, TALLEST = 12e6; // px of an item, rows per fetch, px that every browser can scroll
const PARTS = ['removed', 'train', 'validation', 'test'];
const MEASURES = { length: 'bytes', tokens: 'tokens', quality: 'quality', language: 'language', loss: 'loss', ifd: 'IFD' };
const WORDS = { accept: 'accepted', reject: 'rejected', edit: 'edited', restore: 'set back', label: 'labelled', comment: 'commented', undo: 'taken back' };

const SORTS = { id: 'by number', loss: 'by loss', ifd: 'by IFD', quality: 'by quality', length: 'by length', tokens: 'by tokens', similarity: 'by similarity', score: 'by the decision’s score', reason: 'by reason' };

let facts = null, name = '', turn = Date.now();
let filter = {}, pages = new Map(), count = 0, complete = true, asked = new Map();
let selected = -1, shown = null, wanted = 0, editing = false, asTokens = false, queue = Promise.resolve();

// ---- small things ----

function el(tag, attrs = {}, ...children) {
  const e = document.createElement(tag);
  for (const [k, v] of Object.entries(attrs)) {
    if (k === 'class') e.className = v;
    else if (k.startsWith('on')) e.addEventListener(k.slice(2), v);
    else if (v !== null && v !== false) e.setAttribute(k, v);
  }
  e.append(...children.filter(c => c !== null && c !== undefined && c !== ''));
  return e;
}

const short = v => Number.isInteger(v) ? number(v) : String(Number(v.toPrecision(3)));
const number = n => Number(n).toLocaleString('en-US');
const cookie = key => document.cookie.split('; ').filter(c => c.startsWith(key + '=')).map(c => decodeURIComponent(c.slice(key.length + 1)))[0] || '';

async function ask(path, body) {
  let answer;
  try {
    answer = await fetch(path, body && { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
  } catch {
    throw new Error('The review is not running any more: start hone prep review again and open the address that it prints.');
  }
  let json = {};
  try { json = await answer.json(); } catch { /* an answer without a sentence: the status tells */ }
  if (!answer.ok) throw new Error(json.error || 'The server answered ' + answer.status + '.');
  return json;
}

let sayTimer = 0;
function say(text) {
  $('said').textContent = text;
  $('alarm').textContent = '';
  clearTimeout(sayTimer);
  sayTimer = setTimeout(() => { $('said').textContent = ''; }, 2500);
}
function alarm(error) { $('said').textContent = ''; $('alarm').textContent = error.message || String(error); }

// A dialog for one text; null: cancelled.
function askFor({ title, note = '', value = '', lines = false, list = [], max = 64, hint = '', yes = 'Save' }) {
  const dialog = $('ask'), field = lines ? $('ask-text') : $('ask-line');
  $('ask-title').textContent = title;
  $('ask-note').textContent = note;
  $('ask-note').hidden = !note;
  $('ask-one').hidden = lines;
  $('ask-many').hidden = !lines;
  $('ask-yes').textContent = yes;
  $('ask-list').replaceChildren(...list.map(v => el('option', { value: v })));
  $('ask-line').maxLength = max;
  $('ask-line').placeholder = hint;
  field.value = value;
  return new Promise(done => {
    const close = v => { dialog.onclose = null; dialog.close(); done(v); };
    dialog.querySelector('form').onsubmit = e => { e.preventDefault(); if (field.value.trim()) close(field.value.trim()); };
    $('ask-no').onclick = () => close(null);
    dialog.onclose = () => done(null);
    dialog.showModal();
    field.focus();
    field.select();
  });
}

async function askName() {
  const given = await askFor({ title: 'Who is reviewing? Your name:', note: 'What you type here is the name that stands beside each of your verdicts; two reviewers are told apart by it. Searching begins behind this window.', value: name, hint: 'such as Ann', yes: 'Start' });
  if (given) {
    name = given.replace(/\p{Cc}/gu, ' ');
    document.cookie = 'hone_reviewer=' + encodeURIComponent(name) + '; SameSite=Strict; Path=/; Max-Age=31536000'; // a cookie, since the port changes
  }
  $('who').textContent = name || 'no name';
  return name;
}

// ---- the list ----

function query(extra) {
  const q = new URLSearchParams({ ...filter, turn, ...extra });
  if (name) q.set('reviewer', name);
  return '/api/rows?' + q;
}

function readFilter() {
  const f = {}, bits = [...$('parts').children].reduce((sum, b, i) => sum + (b.getAttribute && b.getAttribute('aria-pressed') === 'true' ? Number(b.dataset.bit) : 0), 0);
  if (bits) f.parts = bits;
  const [what, value] = $('kind').value.split(/:(.*)/s);
  if (what) f[what] = value;
  if ($('look').value !== 'any') f.look = $('look').value;
  for (const key of ['least', 'most']) {
    const text = $(key).value.trim().replace(',', '.'), bad = text !== '' && !Number.isFinite(Number(text));
    $(key).setAttribute('aria-invalid', bad);
    if (text && !bad) f[key] = text;
  }
  if ($('column').value && $('value').value) { f.column = $('column').value; f.value = $('value').value; }
  if ($('label').value) f.label = $('label').value;
  if ($('text').value) f.text = $('text').value;
  if ($('sort').value !== 'id') f.sort = $('sort').value;
  if ($('sort').value !== 'id' && $('down').getAttribute('aria-pressed') === 'true') f.down = 1;
  $('down').hidden = $('sort').value === 'id';
  const more = ['least', 'most', 'column', 'label'].filter(k => f[k]).length;
  $('more-on').textContent = more ? '(' + more + ' in use)' : '';
  return f;
}

function refilter() {
  filter = readFilter();
  turn++;
  pages.clear();
  asked.clear();
  count = 0;
  complete = false;
  selected = -1;
  $('list').scrollTop = 0;
  fetchPage(0, true);
}

// One fetch of a page at a time; who asks again waits for the same one.
function fetchPage(p, first) {
  if (!asked.has(p)) asked.set(p, readPage(p, first));
  return asked.get(p);
}

async function readPage(p, first) {
  const mine = turn;
  try {
    const got = await ask(query({ from: p * PAGE, n: PAGE }));
    if (mine !== turn) return;
    pages.set(p, got.rows);
    took(got);
    drawList();
    if (first && count && selected < 0) select(0);
    if (!complete) { // a search goes on by asking again
      asked.delete(p);
      await fetchPage(p, first && selected < 0);
    } else if (!count && first) {
      show(null);
    }
  } catch (e) {
    asked.delete(p);
    if (mine === turn) alarm(e);
  }
}

function took(got) {
  count = got.count;
  complete = got.complete;
  $('count').textContent = complete ? number(count) + (count === 1 ? ' row' : ' rows') : number(count) + ' rows so far, ' + Math.round(100 * got.done) + ' % searched';
  const share = count ? got.judged / count : 0;
  $('fill').style.width = 100 * share + '%';
  $('bar').setAttribute('aria-valuenow', Math.round(100 * share));
  $('progress').textContent = number(got.judged) + ' of ' + number(count) + ' judged';
}

const rowAt = i => (pages.get(Math.floor(i / PAGE)) || [])[i % PAGE];

// Lists too tall for a browser are squeezed: v is where the list would be scrolled to if it were not.
function geometry() {
  const list = $('list'), view = list.clientHeight, full = count * ITEM, tall = Math.min(full, TALLEST);
  const squeeze = tall > view ? (full - view) / (tall - view) : 1;
  return { list, view, full, tall, squeeze, v: list.scrollTop * squeeze };
}

// Signs with their meaning behind them; the verdict in words.
function state(r) {
  const marks = [], sign = (text, cls, title) => marks.push(el('span', { class: cls, title, role: 'img', 'aria-label': title }, text), ' ');
  if (r.differ) sign('≠', 'is-flat', 'reviewers differ');
  if (r.edited) sign('✎', 'is-flat', 'edited');
  if (r.commented) sign('❝', '', 'commented');
  if (r.label) sign('#' + (r.label.length > 12 ? r.label.slice(0, 11) + '…' : r.label), '', 'label: ' + r.label);
  if (r.verdict) marks.push(el('span', { class: 'is-' + r.verdict }, r.verdict === 'accept' ? '✓ accepted' : '✗ rejected'));
  return el('span', { class: 'state' }, ...marks);
}

function item(i, g) {
  const r = rowAt(i);
  const e = el('div', { class: 'item', role: 'option', id: 'item-' + i, 'aria-selected': i === selected, 'aria-setsize': count, 'aria-posinset': i + 1, onclick: () => select(i) });
  e.style.top = i * ITEM - g.v + g.list.scrollTop + 'px';
  if (r)
    e.append(el('div', { class: 'top' }, el('span', { class: 'id' }, '#' + r.id), el('span', { class: r.part === 'removed' ? 'is-reject' : '' }, r.part),
      'key' in r ? el('span', { class: 'key', title: SORTS[filter.sort] }, short(r.key)) : null, state(r)),
      el('p', {}, r.error || r.head || r.answer || '(no text)'), el('p', { class: 'answer' }, r.head ? r.answer || '(no answer)' : ''));
  return e;
}

function drawList() {
  const g = geometry(), from = Math.max(0, Math.floor(g.v / ITEM) - 3), to = Math.min(count, Math.ceil((g.v + g.view) / ITEM) + 3), items = [];
  $('space').style.height = g.tall + 'px';
  for (let i = from; i < to; i++) items.push(item(i, g));
  $('space').replaceChildren(...items);
  if (selected >= 0) g.list.setAttribute('aria-activedescendant', 'item-' + selected);
  for (let p = Math.floor(from / PAGE); p * PAGE < to; p++) if (!pages.has(p)) fetchPage(p, false);
}

function into_view(i) {
  const g = geometry(), top = i * ITEM;
  if (top < g.v) g.list.scrollTop = top / g.squeeze;
  else if (top + ITEM > g.v + g.view) g.list.scrollTop = (top + ITEM - g.view) / g.squeeze + (g.squeeze > 1 ? 1 : 0);
}

async function select(i) {
  if (i < 0 || i >= count || (editing && !leaveEdit())) return;
  selected = i;
  into_view(i);
  drawList();
  if (!rowAt(i)) await fetchPage(Math.floor(i / PAGE), false);
  const r = rowAt(i);
  if (r && selected === i) open(r.id);
}

// ---- one row ----

async function open(id) {
  const mine = ++wanted;
  try {
    const got = await ask('/api/row?id=' + id);
    if (mine === wanted && !editing) show(got); // an edit that was begun meanwhile stays
  } catch (e) {
    if (mine === wanted) alarm(e);
  }
}

// What stands in the place of personal data: [EMAIL] and EMAIL_0a1b2c by their form; replacements that look real, and what was overlooked, by the scanner.
const REDACTED = /\[[A-Z][A-Z_]{2,}(?:[_ -]?\d+)?\]|\b[A-Z][A-Z_]{1,}_[0-9a-f]{8,}\b/g;

const title = (row, p) => row.decisions.some(d => d.pass === 'pii' && d.action === 'edit') ? p.what + ': a replacement, or one that stayed' : 'looks like ' + p.what;

function spans(text, row) {
  const found = [], lower = text.toLowerCase(), add = (a, b, kind) => found.push([a, b, kind]);
  for (const m of text.matchAll(REDACTED)) add(m.index, m.index + m[0].length, 'personal data was here');
  for (const p of row.personal || []) for (let i = text.indexOf(p.text); i >= 0; i = text.indexOf(p.text, i + p.text.length)) add(i, i + p.text.length, title(row, p));
  const search = (filter.text || '').toLowerCase();
  if (search && lower.length === text.length) for (let i = lower.indexOf(search); i >= 0; i = lower.indexOf(search, i + search.length)) add(i, i + search.length, 'mark');
  found.sort((a, b) => a[0] - b[0] || b[1] - a[1]);
  return found;
}

function textNode(text, row, mono) {
  const e = el('div', { class: mono ? 'text mono' : 'text' });
  if (!text) { e.append(el('span', { class: 'empty' }, 'empty')); return e; }
  let at = 0;
  for (const [a, b, kind] of spans(text, row)) {
    if (a < at) continue;
    e.append(text.slice(at, a), kind === 'mark' ? el('mark', {}, text.slice(a, b)) : el('span', { class: 'pii', title: kind }, text.slice(a, b)));
    at = b;
  }
  e.append(text.slice(at));
  return e;
}

// The texts of a row as turns: { role, title, text, set } - set writes an edited text into a copy of the row.
function turns(row) {
  const out = [], one = (role, title, text, path) => out.push({ role, title, text, path });
  const list = (messages, key, extra) => (messages || []).forEach((m, i) => {
    one(m.role, m.role + (m.name ? ' · ' + m.name : '') + (m.weight === 0 ? ' · not trained' : '') + extra, m.content, [key, i, 'content']);
    (m.tool_calls || []).forEach(c => one('tool', 'calls ' + (c.function && c.function.name || 'a tool'), typeof (c.function || {}).arguments === 'string' ? c.function.arguments : JSON.stringify((c.function || {}).arguments, null, 1), null));
  });
  list(row.messages, 'messages', '');
  if ('prompt' in row) one('user', 'prompt', row.prompt, ['prompt']);
  if ('completion' in row) one('assistant', 'completion', row.completion, ['completion']);
  if ('text' in row) one('assistant', 'text', row.text, ['text']);
  list(row.chosen, 'chosen', ' · the better answer');
  list(row.rejected, 'rejected', ' · the worse answer');
  return out;
}

function turnNode(t, row) {
  const e = el('article', { class: 'turn ' + t.role }, el('h3', {}, t.title));
  if (editing && t.path && (typeof t.text === 'string' || t.text === undefined)) {
    const area = el('textarea', { 'aria-label': t.title, rows: Math.min(20, (t.text || '').split('\n').reduce((n, l) => n + 1 + Math.floor(l.length / 90), 1)) });
    area.value = t.text || '';
    t.area = area;
    e.append(area);
  } else {
    e.append(textNode(t.text, row, t.path === null));
  }
  return e;
}

function tokenNodes(t) {
  const text = el('div', { class: 'text' });
  for (const [piece, trained] of t.pieces || []) text.append(el('span', { class: trained ? 'trained' : 'read' }, piece));
  const head = t.pieces ? number(t.tokens) + ' tokens, ' + number(t.trained) + ' trained (green, underlined); examples may have ' + number(t.max_length) + '.' : '';
  return [head ? el('p', { class: 'token-note' }, head) : null, t.error ? el('p', { class: 'token-note wrong' }, t.error) : null, t.pieces ? el('article', { class: 'turn' }, text) : null].filter(Boolean);
}

function diffNode(steps) {
  const tag = { '=': 'span', '-': 'del', '+': 'ins' };
  return el('div', { class: 'diff', 'aria-label': 'before and after' }, ...steps.map(([op, text]) => {
    if (op !== '=' || text.length < 400) return el(tag[op], {}, text);
    return el('span', {}, text.slice(0, 150) + ' … ' + text.slice(-150)); // a long stretch without a change
  }));
}

function decisionNode(d) {
  const known = ['row', 'file', 'line', 'pass', 'action', 'reason', 'score', 'diff', 'kind', 'before', 'kept', 'back', 'no_back'];
  const rest = Object.entries(d).filter(([k]) => !known.includes(k)).map(([k, v]) => k + ': ' + (typeof v === 'string' ? v : JSON.stringify(v))).join(' · ');
  const color = { remove: 'reject', edit: 'flat', keep: 'accept' }[d.action] || '';
  return el('div', { class: 'decision' },
    el('div', { class: 'line' }, el('span', { class: 'chip ' + color }, d.action), el('b', {}, d.pass), el('span', {}, d.reason),
      'score' in d ? el('span', { class: 'score' }, 'score ' + Number(d.score).toPrecision(3)) : null,
      d.kept ? el('button', { type: 'button', class: 'link', onclick: () => open(d.kept) }, 'row ' + d.kept + ' stays') : null, backNode(d, 0)),
    noBackNode(d), rest ? el('div', { class: 'facts' }, rest.slice(0, 600)) : null, ...(d.diff || []).map(diffNode));
}

// An edit can be taken back, or it is said why not.
const backNode = (d, edit) => d.back ? el('button', { type: 'button', class: 'link', onclick: () => takeBack(edit) }, 'Take it back') : null;
const noBackNode = d => d.no_back ? el('div', { class: 'no-back' }, 'Cannot be taken back: ' + d.no_back) : null;

// What b takes back: the last edit of a person, or else the repair. undefined: there is none.
function lastEdit(row) {
  const person = row ? row.history.filter(h => h.back && h.action === 'edit').pop() : null;
  return person ? person.n : row && row.decisions.some(d => d.back) ? 0 : undefined;
}

function historyNode(h) {
  return el('div', { class: 'decision' }, el('div', { class: 'line' + (h.undone ? ' undone' : '') },
    el('span', { class: 'chip ' + ({ accept: 'accept', reject: 'reject' }[h.action] || '') }, WORDS[h.action] || h.action), el('b', {}, h.reviewer), el('span', { class: 'score' }, (h.time || '').replace('T', ' ').replace('Z', ' UTC')), backNode(h, h.n)),
    h.text ? el('div', { class: 'text' }, h.text) : null, h.back ? null : noBackNode(h), h.raw_old ? el('div', { class: 'diff' }, h.raw_old) : null, ...(h.diff || []).map(diffNode));
}

function show(row) {
  shown = row;
  const box = $('row');
  for (const id of ['accept', 'reject', 'edit', 'labelit', 'comment']) $(id).disabled = !row;
  $('back').disabled = !row || editing || lastEdit(row) === undefined;
  $('accept').setAttribute('aria-pressed', false);
  $('reject').setAttribute('aria-pressed', false);
  if (!row) { box.replaceChildren(el('p', { class: 'nothing' }, 'No row fits these filters.')); return; }
  const mine = row.verdicts.find(v => v.name === name), others = row.verdicts.filter(v => v.name !== name);
  if (mine) $(mine.verdict).setAttribute('aria-pressed', true);
  const head = el('div', { class: 'head' }, el('h2', {}, 'Row ' + row.id), el('span', { class: 'chip ' + row.part }, row.part),
    row.edited ? el('span', { class: 'chip flat' }, 'edited') : null, row.label ? el('span', { class: 'chip' }, '# ' + row.label) : null,
    ...row.verdicts.map(v => el('span', { class: 'chip ' + v.verdict }, v.name + ': ' + WORDS[v.verdict])),
    el('span', {}, [row.file, row.line ? 'line ' + row.line : ''].filter(Boolean).join(', ')));
  const body = [];
  if (row.removed) body.push(el('p', { class: 'why' }, row.removed.pass + ': ' + row.removed.reason));
  $('tokens').hidden = !facts.model;
  $('tokens').setAttribute('aria-pressed', asTokens);
  const list = row.row ? turns(row.row) : editing ? turns({ prompt: row.raw, completion: '' }) : [];
  row.turns = list;
  if (asTokens && row.tokens && !editing) body.push(...tokenNodes(row.tokens));
  else body.push(...list.map(t => turnNode(t, row)));
  if (!row.row && !editing) body.push(el('article', { class: 'turn' }, el('h3', {}, 'as it stands in the file; it could not be read'), textNode(row.raw, row, true)));
  if (editing) body.push(el('div', { class: 'editbar' }, el('button', { type: 'button', class: 'strong', onclick: saveEdit }, 'Save the edit'), el('button', { type: 'button', onclick: leaveEdit }, 'Cancel'),
    el('p', {}, 'What stands here now stays in review.jsonl, so that the edit can be taken back.')));
  const meta = Object.entries((row.row || {}).meta || {}), measured = Object.entries(row.measure || {});
  if (row.original && !editing) {
    const before = turns(row.original).map(t => t.text || '').join('\n'), after = list.map(t => t.text || '').join('\n');
    if (before !== after) body.push(el('h2', { class: 'small' }, 'Before the edit'), el('div', { class: 'diff soft' }, before));
  }
  if (meta.length) body.push(el('h2', { class: 'small' }, 'Beside the row'), el('table', {}, el('tbody', {}, ...meta.map(([k, v]) => el('tr', {}, el('th', { scope: 'row' }, k), el('td', {}, typeof v === 'string' ? v : JSON.stringify(v)))))));
  if (measured.length) body.push(el('p', { class: 'token-note' }, measured.map(([k, v]) => MEASURES[k] + ' ' + (typeof v === 'number' ? short(v) : v)).join(' · ')));
  if (row.decisions.length) body.push(el('h2', { class: 'small' }, 'Decisions'), el('div', {}, ...row.decisions.map(decisionNode)));
  if (row.history.length) body.push(el('h2', { class: 'small' }, 'Review'), el('div', {}, ...row.history.map(historyNode)));
  if (others.length && mine && others.some(v => v.verdict !== mine.verdict)) head.append(el('span', { class: 'chip flat' }, '≠ you differ'));
  box.replaceChildren(head, ...body);
  if (!editing) box.scrollTop = 0;
}

// ---- actions ----

// One after the other, each about the row that was shown when its key was pressed. Resolves to the row when it is on disk, to false when it is not.
function act(action, extra = {}, row = shown && shown.id) {
  const job = queue.then(() => send(action, extra, row));
  queue = job;
  return job;
}

async function send(action, extra, row) {
  if ((action !== 'undo' && !row) || (!name && !await askName())) return false;
  try {
    const done = await ask('/api/act', { action, reviewer: name, row, ...extra });
    if (action === 'edit' || action === 'restore') editing = false;
    say('Row ' + done.row + ' ' + WORDS[action] + '. Saved.');
    refresh(done.row).catch(alarm);
    return done.row;
  } catch (e) {
    alarm(e);
    return false;
  }
}

// After an action: the pages that are in view say what stands now, and so do the numbers.
async function refresh(id) {
  const mine = turn, seen = wanted;
  let at = -1;
  for (const [p, rows] of pages) { const i = rows.findIndex(r => r.id === id); if (i >= 0) at = p * PAGE + i; }
  const p = Math.floor((at >= 0 ? at : Math.max(selected, 0)) / PAGE);
  const [got, now] = await Promise.all([ask(query({ from: p * PAGE, n: PAGE })), ask('/api/facts')]);
  facts = now;
  drawFacts();
  if (mine !== turn) return;
  pages.set(p, got.rows);
  took(got);
  drawList();
  if (shown && shown.id === id && seen === wanted) await open(id);
}

async function judge(verdict) {
  if (editing) return;
  const at = selected, row = shown && shown.id;
  if (await act(verdict) !== false && shown && shown.id === row && selected === at && at + 1 < count && (rowAt(at) || {}).id === row) select(at + 1);
}

async function undo() {
  const row = await act('undo');
  if (row === false) return;
  for (const [p, rows] of pages) { const i = rows.findIndex(r => r.id === row); if (i >= 0) { select(p * PAGE + i); return; } }
  open(row);
}

function takeBack(edit) {
  if (editing || !shown || edit === undefined) return;
  act('restore', { edit });
}

function startEdit() {
  if (!shown || editing) return;
  editing = true;
  show(shown);
  const first = shown.turns.filter(t => t.area).pop();
  if (first) first.area.focus();
}

function leaveEdit() {
  const changed = shown && shown.turns && shown.turns.some(t => t.area && t.area.value !== (t.text || ''));
  if (changed && !window.confirm('Leave without saving the edit?')) return false;
  editing = false;
  show(shown);
  return true;
}

async function saveEdit() {
  const copy = shown.row ? structuredClone(shown.row) : { prompt: '', completion: '' };
  let changed = !shown.row;
  for (const t of shown.turns.filter(x => x.area && x.path)) {
    if (t.area.value === (t.text || '')) { if (!shown.row) copy[t.path[0]] = t.area.value; continue; }
    const holder = t.path.slice(0, -1).reduce((o, k) => o[k], copy);
    holder[t.path[t.path.length - 1]] = t.area.value;
    changed = true;
  }
  if (!changed) { leaveEdit(); return; }
  await act('edit', { row_new: copy });
}

async function label() {
  if (!shown || editing) return;
  const text = await askFor({ title: 'Label of row ' + shown.id, value: shown.label || '', list: facts.labels, max: 80, note: facts.label_column ? 'It goes into the column “' + facts.label_column + '”.' : '' });
  if (text) act('label', { text });
}

async function comment() {
  if (!shown || editing) return;
  const text = await askFor({ title: 'Comment on row ' + shown.id, lines: true });
  if (text) act('comment', { text });
}

function tokens() {
  if (!facts.model || editing || !shown) return;
  asTokens = !asTokens;
  show(shown);
}

// ---- numbers of the folder ----

const fixed = v => v === null || v === undefined ? '–' : Number(v).toFixed(2).replace('-', '−');

function drawFacts() {
  $('dir').textContent = facts.dir;
  document.title = 'Review of ' + facts.dir;
  const pair = facts.agreement[0];
  $('agreement').hidden = !pair;
  if (pair) {
    $('agreement').textContent = 'κ ' + fixed(pair.kappa);
    $('agreement').title = 'Agreement of ' + pair.a + ' and ' + pair.b;
  }
  $('agree-text').replaceChildren(...(facts.agreement.length ? [
    el('table', {}, el('thead', {}, el('tr', {}, ...['Reviewers', 'Rows', 'Same', 'κ (95 %)'].map(t => el('th', { scope: 'col' }, t)))),
      el('tbody', {}, ...facts.agreement.map(p => el('tr', {}, el('td', {}, p.a + ', ' + p.b), el('td', {}, number(p.rows)), el('td', {}, Math.round(100 * p.agree) + ' %'),
        el('td', {}, p.kappa === null ? 'not defined: one verdict only' : fixed(p.kappa) + ' (' + fixed(p.low) + ' to ' + fixed(p.high) + ')'))))),
    el('p', { class: 'soft' }, 'Cohen’s kappa: agreement beyond chance over the rows that both judged (Cohen 1960); the interval is that of Fleiss, Cohen and Everitt 1969, which is for large samples. 1: always the same, 0: as by chance.'),
  ] : [el('p', { class: 'soft' }, 'Shown as soon as two reviewers have judged the same rows.')]));
  const labels = $('label'), kept = labels.value;
  labels.replaceChildren(el('option', { value: '' }, 'any'), ...facts.labels.map(l => el('option', { value: l }, l)));
  labels.value = kept;
}

function drawFilters() {
  $('parts').append(...PARTS.map((p, i) => el('button', { type: 'button', 'aria-pressed': false, 'data-bit': 1 << i, onclick: e => {
    e.currentTarget.setAttribute('aria-pressed', e.currentTarget.getAttribute('aria-pressed') !== 'true');
    refilter();
  } }, p + ' ', el('span', {}, number(facts.parts[p])))));
  const passes = [...new Set(facts.kinds.map(k => k.pass))], actions = [...new Set(facts.kinds.map(k => k.action))];
  const sum = list => list.reduce((n, k) => n + k.rows, 0);
  $('kind').append(el('option', { value: '' }, 'any'),
    el('optgroup', { label: 'action' }, ...actions.map(a => el('option', { value: 'action:' + a }, a + ' (' + number(sum(facts.kinds.filter(k => k.action === a))) + ')'))),
    ...passes.map(p => el('optgroup', { label: p }, el('option', { value: 'pass:' + p }, p + ': all (' + number(sum(facts.kinds.filter(k => k.pass === p))) + ')'),
      ...facts.kinds.map((k, i) => [k, i]).filter(([k]) => k.pass === p).sort((a, b) => b[0].rows - a[0].rows)
        .map(([k, i]) => el('option', { value: 'kind:' + i }, k.action + ': ' + k.reason.slice(0, 90) + ' (' + number(k.rows) + ')')))));
  $('sort').append(...facts.sorts.map(s => el('option', { value: s }, SORTS[s])));
  drawDown(false);
  $('column').append(el('option', { value: '' }, 'any'), ...facts.columns.map(c => el('option', { value: c }, c)));
}

function turnRound() {
  if ($('sort').value === 'id') return;
  const down = $('down').getAttribute('aria-pressed') !== 'true';
  drawDown(down);
  refilter();
}

function drawDown(down) {
  $('down').setAttribute('aria-pressed', down);
  $('down').textContent = down ? '↓' : '↑';
  $('down').title = (down ? 'Greatest first' : 'Smallest first') + ' (o)';
}

// What one looks for stands on top: the worst quality, the hardest row, the longest, the most alike.
function sortChosen() {
  drawDown(!['id', 'quality', 'reason'].includes($('sort').value));
  refilter();
}

function clearFilters() {
  $('filters').reset();
  $('sort').value = 'id';
  for (const b of $('parts').querySelectorAll('button')) b.setAttribute('aria-pressed', false);
  refilter();
}

// ---- keys ----

const keys = {
  j: () => select(selected + 1), k: () => select(selected - 1), a: () => judge('accept'), r: () => judge('reject'), e: startEdit, l: label, c: comment, u: undo, b: () => takeBack(lastEdit(shown)), o: turnRound, t: tokens,
  '/': () => { $('text').focus(); $('text').select(); }, '?': () => $('keys').showModal(),
};

document.addEventListener('keydown', e => {
  const typing = e.target.closest('input, textarea, select, dialog');
  if (e.key === 'Escape' && editing) { e.preventDefault(); leaveEdit(); return; }
  if (e.key === 'Enter' && (e.ctrlKey || e.metaKey) && editing) { e.preventDefault(); saveEdit(); return; }
  if (e.key === 'Enter' && (e.ctrlKey || e.metaKey) && $('ask').open) { $('ask-yes').click(); return; }
  if (e.key === 'Escape' && e.target.id === 'text') { e.target.blur(); return; }
  if (typing || e.ctrlKey || e.metaKey || e.altKey || document.querySelector('dialog[open]')) return;
  const fn = keys[e.key.length === 1 ? e.key.toLowerCase() : e.key];
  if (fn) { e.preventDefault(); fn(); }
});

$('list').addEventListener('keydown', e => {
  const page = Math.max(1, Math.floor($('list').clientHeight / ITEM) - 1);
  const to = { ArrowDown: selected + 1, ArrowUp: selected - 1, PageDown: Math.min(selected + page, count - 1), PageUp: Math.max(selected - page, 0), Home: 0, End: count - 1 }[e.key];
  if (to !== undefined) { e.preventDefault(); select(to); }
});

let typingTimer = 0;
const soon = () => { clearTimeout(typingTimer); typingTimer = setTimeout(refilter, 250); };

async function start() {
  name = cookie('hone_reviewer');
  $('who').textContent = name || 'no name';
  try {
    facts = await ask('/api/facts');
  } catch (e) {
    alarm(e);
    return;
  }
  drawFilters();
  drawFacts();
  for (const [id, fn] of Object.entries({ accept: () => judge('accept'), reject: () => judge('reject'), edit: startEdit, labelit: label, comment, undo, back: () => takeBack(lastEdit(shown)), down: turnRound, tokens, who: askName,
    help: keys['?'], agreement: keys['?'], clear: clearFilters })) $(id).addEventListener('click', fn);
  for (const id of ['text', 'least', 'most', 'value']) $(id).addEventListener('input', soon);
  for (const id of ['kind', 'look', 'column', 'label']) $(id).addEventListener('change', refilter);
  $('sort').addEventListener('change', sortChosen);
  $('filters').addEventListener('submit', e => { e.preventDefault(); refilter(); });
  $('list').addEventListener('scroll', () => requestAnimationFrame(drawList));
  $('keys').querySelector('form').addEventListener('submit', e => { e.preventDefault(); $('keys').close(); });
  window.addEventListener('resize', drawList);
  window.addEventListener('beforeunload', e => { if (editing) e.preventDefault(); });
  refilter();
  if (!name) await askName();
}

start();
