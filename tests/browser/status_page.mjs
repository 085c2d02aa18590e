// The status page: by the keyboard alone and at a phone's width, a job is made and run, its rows arrive, and a failing
// job shows its error without the password. Every button does what it says; the last hundred changes are there.
import { spawn, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

const TOKEN = '0123456789abcdef0123456789abcdef';
const PASSWORD = 'hunter2-correct-horse';
const dir = mkdtempSync(join(tmpdir(), 'tidegate-status.'));
const source = join(dir, 'source.db');
const sql = (text) => execFileSync('sqlite3', [source, text], { encoding: 'utf8' });
sql("CREATE TABLE users(id INTEGER PRIMARY KEY, updated_at TEXT); INSERT INTO users VALUES (1, '2026-01-01')");
sql("CREATE TABLE orders(id INTEGER PRIMARY KEY, amount INTEGER); INSERT INTO orders VALUES (7, 1)");
writeFileSync(join(dir, 'config.json'), JSON.stringify({
  listen: { port: 0 }, data: join(dir, 'data'), auth: { tokens: [{ token: 'env:ADMIN', role: 'admin' }] },
  engines: [{ name: 'till', url: `sqlite:${source}`, interval_seconds: 1, tables: ['orders'] }],
}));
const server = spawn(process.env.TIDEGATE_SERVER, [join(dir, 'config.json')],
  { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, ADMIN: TOKEN } });
const ended = new Promise((resolve) => server.once('exit', resolve));
const url = await new Promise((resolve, reject) => {
  let text = '';
  server.stdout.on('data', (piece) => {
    text += piece;
    const found = /Listening on (\S+)/.exec(text);
    if (found) resolve(found[1]);
  });
  server.once('exit', (code) => reject(new Error(`tidegate-server ended with ${code}`)));
});
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--no-sandbox'] });
try {
  const page = await browser.newPage({ viewport: { width: 380, height: 700 } });
  page.setDefaultTimeout(20000);
  const problems = [];
  const elsewhere = [];
  page.on('pageerror', (error) => problems.push(String(error)));
  page.on('console', (message) => { if (/Content Security Policy/.test(message.text())) problems.push(message.text()); });
  page.on('request', (request) => { if (!request.url().startsWith(url) && !request.url().startsWith('data:')) elsewhere.push(request.url()); });
  const { keyboard } = page;
  const focusOn = async (locator) => {
    for (let i = 0; i < 120; ++i) {
      if (await locator.evaluate((node) => node === document.activeElement)) return;
      await keyboard.press('Tab');
    }
    throw new Error(`the keyboard does not reach ${locator}`);
  };
  const fillIn = async (label, text) => { await focusOn(page.getByLabel(label, { exact: true })); await keyboard.type(text); };

  await page.goto(url);
  await fillIn('Admin token', 'a-wrong-token-of-some-length');
  await keyboard.press('Enter');
  await page.getByText('The token was refused.').waitFor();
  await fillIn('Admin token', TOKEN);
  await keyboard.press('Enter');
  await page.getByText('No jobs yet.').waitFor();
  assert.equal(await page.evaluate(() => localStorage.length), 0);
  assert.equal(await page.evaluate(() => document.cookie), '');

  await focusOn(page.locator('#new-job summary'));
  await keyboard.press('Enter');
  await fillIn('Name', 'users');
  await focusOn(page.locator('select[name=dialect]'));
  await keyboard.press('End'); // the last: SQLite
  await fillIn('Database name, or file', source);
  await fillIn('Table', 'users');
  await fillIn('Tracking column', 'updated_at');
  await fillIn('Cron', '@yearly');
  await focusOn(page.getByRole('button', { name: 'Save the job' }));
  await keyboard.press('Enter');
  await page.getByRole('heading', { name: 'users', exact: true }).waitFor();
  const run = page.getByRole('button', { name: 'Run job users' });
  await page.locator('#main').focus();
  await focusOn(run);
  await keyboard.press('Enter');
  await page.locator('#changes').getByRole('cell', { name: 'id=1', exact: true }).waitFor();
  sql("INSERT INTO users VALUES (2, '2026-01-02')");
  await page.locator('#main').focus();
  await focusOn(run);
  await keyboard.press('Enter');
  await page.locator('#changes').getByRole('cell', { name: 'id=2', exact: true }).waitFor();
  await page.locator('#jobs').getByText('2', { exact: true }).first().waitFor();

  // What is to be seen of a job, and its buttons.
  const card = page.locator('#jobs .card', { hasText: 'sqlite users' });
  const fact = (where, name) => where.locator('dl div', { has: page.getByText(name, { exact: true }) }).locator('dd');
  assert.match(await fact(card, 'Next run').textContent(), /20\d\d/, 'the next run is a date');
  assert.match(await fact(card, 'Last run').textContent(), /20\d\d/);
  assert.equal(await fact(card, 'Cursor').textContent(), '2026-01-02');
  assert.match(await card.locator('svg').getAttribute('aria-label'), /^Rows written: now .+, most /);
  for (const [button, state] of [['Pause', 'paused'], ['Resume', 'idle']]) {
    await card.getByRole('button', { name: `${button} job users` }).click();
    await card.locator('.state', { hasText: state }).waitFor();
  }
  await card.getByRole('button', { name: 'Reset job users' }).click();
  await fact(card, 'Cursor').waitFor({ state: 'detached' });
  sql("WITH RECURSIVE n(i) AS (SELECT 3 UNION ALL SELECT i + 1 FROM n WHERE i < 152) INSERT INTO users SELECT i, '2026-01-03' FROM n");
  await run.click();
  await page.locator('#changes').getByRole('cell', { name: 'id=152', exact: true }).waitFor();
  assert.equal(await page.locator('#changes tbody tr').count(), 100, 'the last hundred changes');

  // An engine: its source with state and lag, its pipeline, and its buttons.
  const engine = page.locator('#engines > div', { hasText: 'Engine till' });
  await engine.getByText('ready', { exact: true }).waitFor();
  const from = engine.locator('.card', { hasText: 'Source till' });
  assert.match((await from.locator('.state').textContent()).toLowerCase(), /streaming|connected/);
  assert.equal(await fact(from, 'Lag').count(), 1);
  assert.match(await from.locator('svg').first().getAttribute('aria-label'), /^Lag: now .+, most /);
  const into = engine.locator('.card', { hasText: 'Pipeline till' });
  assert.equal(await fact(into, 'Tables').textContent(), 'orders');
  await engine.getByRole('button', { name: 'Pause engine till' }).click();
  await engine.getByText('paused', { exact: true }).waitFor();
  await engine.getByRole('button', { name: 'Resume engine till' }).click();
  await engine.getByText('ready', { exact: true }).waitFor();
  sql('UPDATE orders SET amount = 2');
  await page.locator('#changes tr', { hasText: 'orders' }).getByRole('cell', { name: 'id=7', exact: true }).first().waitFor();

  // A job whose table goes away, and whose database says its password in the error: the error is shown with *** in its
  // place, and markup stays text.
  sql(`CREATE TABLE "of ${PASSWORD}"(id INTEGER PRIMARY KEY, updated_at TEXT);
    CREATE VIEW "a<b>x</b>" AS SELECT id, updated_at FROM "of ${PASSWORD}"`);
  const made = await page.evaluate(async ([token, job]) => (await fetch('/replication/jobs', {
    method: 'POST', headers: { authorization: `Bearer ${token}` }, body: JSON.stringify(job) })).status, [TOKEN, {
    name: 'failing', source: { dialect: 'sqlite', database: source, password: PASSWORD }, table_name: 'a<b>x</b>',
    target_table: 'failing', tracking_col: 'updated_at', primary_key: ['id'], cron_tab: '@yearly' }]);
  assert.equal(made, 201);
  sql(`DROP TABLE "of ${PASSWORD}"`);
  await page.getByRole('button', { name: 'Run job failing' }).click();
  const error = page.locator('#jobs .card', { hasText: 'failing' }).locator('p.error');
  await error.waitFor();
  assert.match(await error.textContent(), /no such table: main\.of \*\*\*/);
  assert.ok(!(await error.textContent()).includes(PASSWORD), 'the error hides the password');
  assert.equal(await page.locator('#jobs .card', { hasText: 'a<b>x</b>' }).count(), 1, 'the table is named as it is');
  assert.equal(await page.locator('#jobs b').count(), 0, 'values are text, never markup');
  // The form shows a refusal too, and forgets the password.
  await page.getByLabel('Name', { exact: true }).fill('remote');
  await page.locator('select[name=dialect]').selectOption('postgresql');
  await page.getByLabel('Host', { exact: true }).fill('127.0.0.1');
  await page.getByLabel('Port', { exact: true }).fill('1');
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
  await page.getByRole('button', { name: 'Save the job' }).click();
  await page.locator('#job-answer.error').waitFor();
  assert.equal(await page.getByLabel('Password', { exact: true }).inputValue(), '');
  assert.ok(!(await page.content()).includes(PASSWORD), 'the password is nowhere in the page');

  // Basics of accessibility: every control has a name, every id is there once, nothing is wider than the phone.
  const faults = await page.evaluate(() => {
    const out = [];
    for (const node of document.querySelectorAll('input, select, textarea, button')) {
      const name = node.getAttribute('aria-label') || node.textContent.trim() || [...(node.labels || [])].map((l) => l.textContent.trim()).join('');
      if (!name) out.push(`no name: ${node.outerHTML}`);
    }
    for (const node of document.querySelectorAll('svg')) if (!node.getAttribute('aria-label')) out.push('a plot without a label');
    const ids = [...document.querySelectorAll('[id]')].map((node) => node.id);
    if (new Set(ids).size !== ids.length) out.push('an id comes twice');
    if (!document.documentElement.lang || !document.title || document.querySelectorAll('main').length !== 1) out.push('lang, title or main');
    const wide = document.documentElement.scrollWidth - window.innerWidth;
    if (wide > 0) out.push(`${wide} px wider than a phone`);
    return out;
  });
  assert.deepEqual(faults, []);
  assert.deepEqual(problems, []);
  assert.deepEqual(elsewhere, [], 'the page asks nobody else');
  console.log('OK: by keyboard, at 380 px: a job was made and run, its rows arrived, an error came without its password');
} finally {
  await browser.close();
  server.kill('SIGTERM');
  await ended;
  rmSync(dir, { recursive: true, force: true });
}
