// A row inserted by SQL appears in the page; a message typed in the page arrives in session_events. At the width of a
// phone, by the keyboard alone, and after the connection broke.
import { spawn, execFileSync } from 'node:child_process';
import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

const sql = (text) => execFileSync('psql', [process.env.POSTGRES_URL, '-qAtX', '-v', 'ON_ERROR_STOP=1', '-c', text],
  { encoding: 'utf8' }).trim();

async function until(what, holds) {
  const deadline = Date.now() + 30000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function startSyncLayer(port) {
  const child = spawn(process.env.SYNC_LAYER, ['--port', String(port), '--data', process.env.SYNC_LAYER_DATA],
    { stdio: ['ignore', 'pipe', 'inherit'] });
  const ready = new Promise((resolve, reject) => {
    let text = '';
    child.stdout.on('data', (piece) => {
      text += piece;
      const page = /Page: (\S+)/.exec(text);
      if (page && text.includes('Ready:')) resolve(page[1]);
    });
    child.on('exit', (code) => reject(new Error(`sync_layer ended with ${code}`)));
  });
  return { child, ready };
}

async function stop(child, signal) {
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  await ended;
}

const port = 20000 + Math.floor(Math.random() * 12000);
let bridge = startSyncLayer(port);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--no-sandbox'] });
try {
  const url = await bridge.ready;
  const page = await browser.newPage({ viewport: { width: 360, height: 640 } });
  const problems = [];
  page.on('pageerror', (error) => problems.push(String(error)));
  await page.goto(url);
  await page.waitForFunction(() => document.getElementById('items-state').textContent === 'live');

  sql("INSERT INTO items (title, body) VALUES ('by SQL', '<b>no markup</b>')");
  await page.getByRole('cell', { name: 'by SQL' }).waitFor();
  assert.equal(await page.locator('#items b').count(), 0, 'values are text, never markup');
  sql("UPDATE items SET title = 'changed by SQL'");
  await page.getByRole('cell', { name: 'changed by SQL' }).waitFor();
  assert.equal(await page.locator('#items tr').count(), 1);

  await page.keyboard.press('Tab');
  while ((await page.evaluate(() => document.activeElement.id)) !== 'text') await page.keyboard.press('Tab');
  await page.keyboard.type('typed in the page');
  await page.keyboard.press('Enter');
  await until('the message in session_events', () =>
    sql("SELECT count(*) FROM session_events WHERE payload->>'text' = 'typed in the page'") === '1');
  await page.getByText('typed in the page').waitFor();
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(wide <= 0, `the page is ${wide} px wider than a phone`);

  // Killed and started again, on the same port: the page comes back by itself, and nothing comes twice.
  await stop(bridge.child, 'SIGKILL');
  sql("INSERT INTO items (title) VALUES ('while it was down')");
  bridge = startSyncLayer(port);
  await bridge.ready;
  await page.getByRole('cell', { name: 'while it was down' }).waitFor();
  await page.locator('#text').fill('after the restart');
  await page.getByRole('button', { name: 'Send' }).click();
  await until('the second message', () => sql('SELECT count(*) FROM session_events') === '2');
  await page.getByText('after the restart').waitFor();
  assert.equal(await page.locator('#events li').count(), 2, 'each message once');
  assert.equal(await page.locator('#items tr').count(), 2, 'each row once');
  sql("DELETE FROM items WHERE title = 'while it was down'");
  await until('the row gone', async () => (await page.locator('#items tr').count()) === 1);
  assert.deepEqual(problems, []);
  console.log('OK: a row by SQL appeared in the page, a message of the page arrived in session_events');
} finally {
  await browser.close();
  await stop(bridge.child, 'SIGTERM');
}
