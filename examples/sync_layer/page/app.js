'use strict';

/** Follows a JSON stream from its begin: catch-up and live in one event stream; after a break it goes on from the last
 *  offset that the server told, so nothing comes twice. */
function follow(url, onMessages, onState) {
  let offset = '-1';
  let delay = 250;
  const connect = () => {
    const source = new EventSource(`${url}?live=sse&offset=${encodeURIComponent(offset)}`);
    let waiting = [];
    source.addEventListener('data', (event) => { waiting.push(...JSON.parse(event.data)); });
    source.addEventListener('control', (event) => {
      const control = JSON.parse(event.data);
      offset = control.streamNextOffset;
      delay = 250;
      if (waiting.length > 0) onMessages(waiting);
      waiting = [];
      if (control.streamClosed) {
        onState('closed');
        source.close();
      } else if (control.upToDate) {
        onState('live');
      }
    });
    source.onerror = () => {
      source.close();
      onState('reconnecting');
      setTimeout(connect, delay);
      delay = Math.min(delay * 2, 10000);
    };
  };
  connect();
}

const byId = (id) => document.getElementById(id);

/** Items: what the State Protocol's messages come to, by key. */
const rows = new Map();

function cell(row, text) {
  row.append(Object.assign(document.createElement('td'), { textContent: text ?? '' }));
}

function showItem(key, value) {
  const row = document.createElement('tr');
  row.dataset.key = key;
  row.className = 'new';
  for (const name of ['id', 'title', 'body']) cell(row, value[name]);
  const before = rows.get(key);
  if (before) before.replaceWith(row);
  else byId('items').prepend(row);
  rows.set(key, row);
}

function takeItems(messages) {
  for (const message of messages) {
    const { operation, control } = message.headers ?? {};
    if (control === 'reset') {
      rows.forEach((row) => row.remove());
      rows.clear();
    } else if (operation === 'delete') {
      rows.get(message.key)?.remove();
      rows.delete(message.key);
    } else if (operation) {
      showItem(message.key, message.value);
    }
  }
  byId('items-none').hidden = rows.size > 0;
}

const kMostEvents = 500;

function takeEvents(messages) {
  for (const message of messages) {
    const line = document.createElement('li');
    line.className = 'new';
    line.textContent = typeof message.text === 'string' ? message.text : JSON.stringify(message);
    byId('events').prepend(line);
  }
  while (byId('events').childElementCount > kMostEvents) byId('events').lastElementChild.remove();
}

async function send(url, text) {
  const message = { key: crypto.randomUUID(), type: 'message', operation: 'insert', text, at: new Date().toISOString() };
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify([message]),
  });
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
}

async function main() {
  const config = await (await fetch('config.json')).json();
  const state = (id) => (text) => { byId(id).textContent = text; };
  follow(config.items, takeItems, state('items-state'));
  follow(config.events, takeEvents, state('events-state'));
  byId('form').addEventListener('submit', async (event) => {
    event.preventDefault();
    const input = byId('text');
    const note = byId('form-note');
    try {
      await send(config.events, input.value);
      input.value = '';
      note.textContent = 'Sent.';
    } catch (error) {
      note.textContent = `Not sent: ${error.message}. Your text is still there.`;
    }
    input.focus();
  });
}

main().catch((error) => { byId('form-note').textContent = `The page could not start: ${error.message}`; });
