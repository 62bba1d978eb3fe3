"""judge_review.py - drives the page of `hone prep review` in a real browser (Chromium, headless) and says what it saw; pictures go to a folder.

    judge_review.py HONE PICTURES [--model DIR]

It writes a file of 600 rows with broken characters, personal data, duplicates and a row that cannot be read, gives it to `hone prep`, judges the result and
applies the verdicts. Needs playwright (pip install playwright==1.65.2) and Debian's chromium. Checks: the address works once and leaves the address bar, keys walk and judge, each verdict is in
review.jsonl before the page says so, undo, edit, edits and repairs taken back, orders of the list, label, comment, search, filters, a second reviewer and kappa, the applied files, no console errors (the
content policy among them), no overflow at 1280 and 800 px, contrast of text in both colour schemes, every control has a name, what is in focus is visible."""
import argparse
import atexit
import json
import pathlib
import shutil
import subprocess
import tempfile

from playwright.sync_api import sync_playwright

CONTRAST = """() => {
  const rgb = c => { const m = c.match(/[\\d.]+/g).map(Number); return m.length > 3 ? m : [...m, 1]; };
  const lum = c => c.slice(0, 3).map(v => v / 255).map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4).reduce((s, v, i) => s + v * [.2126, .7152, .0722][i], 0);
  const back = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c[3] > .99) return c; } return [255, 255, 255, 1]; };
  const out = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let n; (n = walker.nextNode());) {
    const e = n.parentElement, s = getComputedStyle(e), box = e.getBoundingClientRect();
    if (!n.data.trim() || !box.width || s.visibility === 'hidden' || e.closest('.hidden, .skip, [hidden], button:disabled, option')) continue;
    let opacity = 1; for (let p = e; p; p = p.parentElement) opacity *= Number(getComputedStyle(p).opacity);
    const b = back(e), f = rgb(s.color).slice(0, 3).map((v, i) => v * opacity + b[i] * (1 - opacity));
    const a = lum(f), c = lum(b), ratio = (Math.max(a, c) + .05) / (Math.min(a, c) + .05);
    if (ratio < 4.5) out.push(ratio.toFixed(2) + ' ' + e.tagName + '.' + e.className + ' "' + n.data.trim().slice(0, 30) + '"');
  }
  return [...new Set(out)].slice(0, 12);
}"""
NAMELESS = """() => [...document.querySelectorAll('button, input, select, textarea, [role=listbox], [role=progressbar]')].filter(e => {
  const label = e.labels && e.labels.length ? [...e.labels].map(l => l.textContent).join('') : '';
  return !(label.trim() || e.textContent.trim() || e.getAttribute('aria-label') || e.title);
}).map(e => e.outerHTML.slice(0, 100))"""
OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


class Judge:
    def __init__(self):
        self.bad = 0

    def check(self, good, what):
        print(('ok   ' if good else 'BAD  ') + what)
        self.bad += not good


PARTS = ('train', 'validation', 'test', 'removed')


def write_rows(path):
    subjects = ['my card', 'the transfer', 'a refund', 'the new account', 'my password', 'an exchange rate', 'the top-up', 'a direct debit', 'the fee', 'my statement']
    verbs = ['has not arrived', 'was declined', 'shows a wrong amount', 'is still pending', 'was charged twice', 'cannot be found', 'looks different today', 'was cancelled']
    with path.open('w') as out:
        for i in range(1, 600):
            if i == 3:
                out.write('{"prompt": "A question that lost its answer"}\n')
            subject, verb = subjects[i % 10], verbs[i // 10 % 8]
            question = f'Ticket {i * 7919 % 10007}: {subject} {verb}. How many days should I wait, and who tells me when it is done?'
            answer = f'Please wait {i % 6 + 2} working days. If {subject} still {verb.replace("has", "does").replace("was", "is")} after day {i % 6 + 2}, we look into case {i * 31337 % 99991}.'
            if i % 5 == 0:
                answer += ' That’s all we’ll need – thank you.'.encode().decode('cp1252')
            if i % 7 == 0:
                answer += f' Write to anna.meier{i}@example.org or call +49 30 12345{i % 90 + 10}.'
            if i % 40 == 39:
                question, answer = last
            last = question, answer
            out.write(json.dumps({'messages': [{'role': 'user', 'content': question}, {'role': 'assistant', 'content': answer}], 'customer': f'c{i // 3}', 'channel': 'mail' if i % 2 else 'chat'}) + '\n')


def lines(path):
    return [json.loads(x) for x in path.read_text().splitlines()] if path.exists() else []


def start(command):
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    atexit.register(process.kill)
    return process, process.stdout.readline().strip()


def enter(page, url, name):
    page.goto(url)
    page.wait_for_selector('#ask[open]')
    page.keyboard.type(name)
    page.keyboard.press('Enter')
    page.wait_for_selector('.item[aria-selected=true]')
    page.wait_for_selector('#row h2')


def row_now(page):
    return int(page.inner_text('#row h2').split()[1])


def key(page, k, said=None):
    page.keyboard.press(k)
    if said:
        page.wait_for_function("t => document.getElementById('said').textContent.includes(t)", arg=said)


def main():
    p = argparse.ArgumentParser()
    p.add_argument('hone')
    p.add_argument('pictures')
    p.add_argument('--model')
    o = p.parse_args()
    judge, check = Judge(), None
    check = judge.check
    work = pathlib.Path(tempfile.mkdtemp(prefix='judge-review-'))
    data, pictures = work / 'data', pathlib.Path(o.pictures)
    write_rows(work / 'tickets.jsonl')
    subprocess.run([o.hone, 'prep', work / 'tickets.jsonl', '--out', data, '--group', 'customer'], check=True, capture_output=True)
    rows_before = sum(len(lines(data / f'{part}.jsonl')) for part in PARTS)
    pictures.mkdir(parents=True, exist_ok=True)
    command = [o.hone, 'prep', 'review', str(data)]
    process, url = start(command + (['--model', o.model] if o.model else []))
    said = [] # what the console says
    with sync_playwright() as pw:
        browser = pw.chromium.launch(executable_path='/usr/bin/chromium', args=['--no-sandbox', '--headless=new'])
        context = browser.new_context(viewport={'width': 1280, 'height': 800})
        context.set_default_timeout(8000)
        page = context.new_page()
        page.on('console', lambda m: said.append(m.text) if m.type in ('error', 'warning') else None)
        page.on('pageerror', lambda e: said.append(str(e)))
        page.goto(url)
        page.wait_for_selector('#ask[open]')
        page.screenshot(path=pictures / 'name.png')
        enter(page, url, 'Ann')
        check('token' not in page.url, 'the token leaves the address bar')
        log = data / 'review.jsonl'

        first = row_now(page)
        key(page, 'j')
        page.wait_for_function(f"() => document.querySelector('#row h2').textContent !== 'Row {first}'")
        key(page, 'k')
        page.wait_for_function(f"() => document.querySelector('#row h2').textContent === 'Row {first}'")
        check(True, 'j and k walk')
        key(page, 'a', f'Row {first} accepted. Saved.')
        check(lines(log)[-1]['action'] == 'accept' and lines(log)[-1]['row'] == first, 'an accept is on disk when the page says so')
        page.wait_for_function(f"() => document.querySelector('#row h2').textContent !== 'Row {first}'")
        second = row_now(page)
        check(second != first, 'and the next row is shown')
        key(page, 'r', f'Row {second} rejected')
        page.wait_for_function(f"() => document.querySelector('#row h2').textContent !== 'Row {second}'")
        key(page, 'u', f'Row {second} taken back')
        page.wait_for_function(f"() => document.querySelector('#row h2').textContent === 'Row {second}'")
        check(page.get_attribute('#reject', 'aria-pressed') == 'false', 'u takes it back and returns to the row')
        key(page, 'l')
        page.keyboard.type('billing')
        key(page, 'Enter', 'labelled')
        page.fill('#text', 'Write to')
        page.wait_for_selector('#row .pii')
        check(page.locator('#row .pii').count() >= 2, 'personal data is marked: ' + ', '.join(page.locator('#row .pii').all_inner_texts()))
        page.screenshot(path=pictures / 'personal.png')
        page.fill('#text', '')
        page.wait_for_function("() => !document.querySelector('#row .pii')")
        page.keyboard.press('Escape')
        key(page, 'c')
        page.keyboard.type('What is meant here?')
        key(page, 'Control+Enter', 'commented')
        key(page, 'e')
        page.wait_for_selector('#row textarea')
        page.screenshot(path=pictures / 'edit.png')
        page.keyboard.press('Control+End')
        page.keyboard.type(' <script>alert(1)</script> & more')
        key(page, 'Control+Enter', 'edited')
        page.wait_for_selector('text=Before the edit')
        check('<script>alert(1)</script> & more' in json.dumps(lines(log)[-1]['row_new']), 'an edit is on disk, markup in it stays text')
        check(page.locator('#row script').count() == 0, 'and is shown as text')
        page.keyboard.press('/')
        page.keyboard.type('how many')
        page.wait_for_function("() => document.querySelectorAll('#row mark').length > 0")
        check('row' in page.inner_text('#count'), 'search finds: ' + page.inner_text('#count'))
        page.screenshot(path=pictures / 'search.png')
        page.fill('#text', '')
        page.wait_for_function("() => !document.querySelector('#row mark')")
        page.keyboard.press('Escape')
        page.click('#parts button >> nth=0')
        page.wait_for_function("() => [...document.querySelectorAll('.item .top span:nth-child(2)')].every(s => s.textContent === 'removed')")
        check(True, 'the filter by part: ' + page.inner_text('#count'))
        page.wait_for_selector('text=it could not be read') # the maker of the folder puts such a row first
        key(page, 'a')
        page.wait_for_function("() => document.getElementById('alarm').textContent.includes('edit it first')")
        check(True, 'a row that could not be read cannot be accepted as it is')
        page.screenshot(path=pictures / 'refused.png')
        key(page, 'j')
        page.wait_for_function("() => !document.getElementById('row').textContent.includes('could not be read')")
        key(page, 'a', 'accepted')
        page.click('#parts button >> nth=0')
        value = page.evaluate("() => [...document.querySelectorAll('#kind option')].find(o => o.value.startsWith('kind:') && o.parentElement.label === 'repair' && o.textContent.startsWith('edit:')).value")
        page.select_option('#kind', value)
        page.wait_for_selector('.diff del')
        check(page.locator('.diff ins, .diff del').count() > 0, 'the difference of a repair is shown')
        page.screenshot(path=pictures / 'repair.png')
        repaired = row_now(page)
        def answer():
            return page.locator('#row article.turn.assistant .text').last.inner_text()
        good = answer()
        key(page, 'b', f'Row {repaired} set back')
        page.wait_for_function("g => [...document.querySelectorAll('#row article.turn.assistant .text')].pop().innerText !== g", arg=good)
        check('â€' in answer(), 'b takes the repair back: ' + answer()[-40:])
        check(lines(log)[-1]['action'] == 'restore' and lines(log)[-1]['edit'] == 0, 'and that is on disk')
        page.wait_for_selector('.no-back')
        page.screenshot(path=pictures / 'restored.png')
        page.locator('.decision', has_text='set back').locator('button.link').click()
        page.wait_for_function("g => [...document.querySelectorAll('#row article.turn.assistant .text')].pop().innerText === g", arg=good)
        check(True, 'taking that back gives the repaired text again')
        key(page, 'e')
        page.wait_for_selector('#row textarea')
        page.locator('#row textarea').last.fill('An answer of my own.')
        key(page, 'Control+Enter', 'edited')
        page.wait_for_selector('text=An answer of my own.')
        page.screenshot(path=pictures / 'edited.png')
        key(page, 'b', f'Row {repaired} set back')
        page.wait_for_function("g => [...document.querySelectorAll('#row article.turn.assistant .text')].pop().innerText === g", arg=good)
        check(True, 'b takes an edit of a person back')
        page.select_option('#kind', '')
        page.wait_for_timeout(300)
        for order in page.evaluate("() => [...document.querySelectorAll('#sort option')].map(o => o.value).filter(v => v !== 'id')"):
            page.select_option('#sort', order)
            page.wait_for_function("() => /^[\\d,]+ rows$/.test(document.getElementById('count').textContent) && document.querySelector('.item .top')")
            page.wait_for_timeout(150)
            texts = page.locator('.item .key').all_inner_texts()
            values = [float(t.replace(',', '')) for t in texts]
            down = page.get_attribute('#down', 'aria-pressed') == 'true'
            check(values == sorted(values, reverse=down) and (values or order in ('reason', 'score')), f'order {order}, {"down" if down else "up"}: {texts[:4]}')
            if order in ('length', 'quality'):
                page.screenshot(path=pictures / f'order-{order}.png')
                key(page, 'o')
                page.wait_for_timeout(250)
                turned = [float(t.replace(',', '')) for t in page.locator('.item .key').all_inner_texts()]
                check(turned == sorted(turned, reverse=not down), f'o turns it round: {turned[:4]}')
        page.select_option('#sort', 'id')
        page.wait_for_timeout(300)

        other = browser.new_context(viewport={'width': 1280, 'height': 800})
        other.set_default_timeout(8000)
        ben = other.new_page()
        enter(ben, url, 'Ben')
        for verdict in 'arrarara':
            at = row_now(ben)
            key(ben, verdict, f'Row {at} ')
            ben.wait_for_function(f"() => document.querySelector('#row h2').textContent !== 'Row {at}'")
        page.reload()
        page.wait_for_selector('.item[aria-selected=true]')
        for verdict in 'aaraarra':
            at = row_now(page)
            key(page, verdict, f'Row {at} ')
            page.wait_for_function(f"() => document.querySelector('#row h2').textContent !== 'Row {at}'")
        check(page.is_visible('#agreement'), 'agreement: ' + page.inner_text('#agreement'))
        page.click('#agreement')
        page.screenshot(path=pictures / 'keys.png')
        check('8' in page.inner_text('#agree-text'), page.inner_text('#agree-text').replace('\n', ' ')[:110])
        page.keyboard.press('Escape')
        page.select_option('#look', 'disagree')
        page.wait_for_function("() => /^\\d+ rows?$/.test(document.getElementById('count').textContent)")
        check(page.inner_text('#count') != '0 rows', 'rows on which they differ: ' + page.inner_text('#count'))
        page.select_option('#look', 'any')
        page.wait_for_timeout(400)
        page.evaluate("document.getElementById('list').scrollTop = 1e9")
        page.wait_for_timeout(600)
        check(page.locator('.item .top').count() > 3, 'the end of the list is drawn')
        page.evaluate("document.getElementById('list').scrollTop = 0")
        page.wait_for_timeout(500)

        for scheme in ('light', 'dark'):
            for width in (1280, 800):
                page.emulate_media(color_scheme=scheme)
                page.set_viewport_size({'width': width, 'height': 800})
                page.wait_for_timeout(250)
                page.screenshot(path=pictures / f'page-{scheme}-{width}.png')
                check(page.evaluate(OVERFLOW) <= 0, f'{scheme} {width}: nothing sticks out')
                low = page.evaluate(CONTRAST)
                check(not low, f'{scheme} {width}: contrast of text is 4.5 or more' + (': ' + '; '.join(low) if low else ''))
        if o.model:
            key(page, 't')
            page.wait_for_selector('.trained')
            page.screenshot(path=pictures / 'tokens-dark-800.png')
            check(page.locator('.trained').count() > 0, 'tokens: ' + page.inner_text('.token-note >> nth=0'))
            low = page.evaluate(CONTRAST)
            check(not low, 'contrast of tokens' + (': ' + '; '.join(low) if low else ''))
        nameless = page.evaluate(NAMELESS)
        check(not nameless, 'every control has a name' + ' '.join(nameless))
        page.keyboard.press('Tab')
        check(page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle !== 'none'"), 'what is in focus is visible')
        page.set_viewport_size({'width': 480, 'height': 800})
        page.wait_for_timeout(250)
        page.screenshot(path=pictures / 'narrow.png')
        process.terminate()
        process.wait(10)
        page.keyboard.press('Escape')
        page.locator('#accept').click()
        page.wait_for_function("() => document.getElementById('alarm').textContent.includes('not running')")
        check(True, 'a stopped server is told, the verdict is not shown as saved')
        said = [s for s in said if 'ERR_CONNECTION_REFUSED' not in s and '400 (Bad Request)' not in s] # both were provoked
        check(not said, 'the console is quiet' + ' | '.join(said)[:400])
        browser.close()
    done = subprocess.run(command + ['--apply'], capture_output=True, text=True)
    check(done.returncode == 0, 'apply: ' + (done.stdout + done.stderr).strip().split('\n')[0])
    rows = sum(len(lines(data / f'{part}.jsonl')) for part in PARTS)
    check(rows == rows_before, f'{rows} rows before and after')
    shutil.rmtree(work)
    print('all good' if not judge.bad else f'{judge.bad} bad')
    return judge.bad > 0


raise SystemExit(main())
