// The status page: polls the routes for admins, follows the change feed, and shows everything as text, never as markup.
'use strict';
(() => {
  const TOKEN_KEY = 'tidegate-admin-token';
  const POLL_MS = 2000;
  const HISTORY = 120; // points of a plot: four minutes
  const SHOWN = 100; // changes, and events
  const byId = (id) => document.getElementById(id);

  let token = sessionStorage.getItem(TOKEN_KEY) || '';
  let session = null; // AbortController of what runs for a token
  const histories = new Map(); // plot -> its values

  // ---- Elements -------------------------------------------------------------------------------------------------

  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value !== null && value !== undefined) made.setAttribute(name, value);
    }
    made.append(...children.filter((child) => child !== null && child !== undefined).map((child) =>
      (child instanceof Node ? child : String(child))));
    return made;
  }

  function setText(node, text) { if (node.textContent !== text) node.textContent = text; }

  /** Cards are kept between polls, so that the focus stays where it is. */
  function keyed(container, key, make) {
    for (const child of container.children) if (child.dataset.key === key) return child;
    const made = make();
    made.dataset.key = key;
    container.append(made);
    return made;
  }

  function keepOnly(container, keys) {
    for (const child of [...container.children]) if (!keys.has(child.dataset.key)) child.remove();
  }

  const shownTime = (iso) => (iso ? new Date(iso).toLocaleString() : '–');
  const shownMillis = (ms) => (ms === null || ms === undefined ? '–' : ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(1)} s`);
  const shownCount = (n) => (n === null || n === undefined ? '–' : Number(n).toLocaleString());

  function stateBadge(state, good, bad) {
    return element('span', { class: `state ${good.includes(state) ? 'good' : bad.includes(state) ? 'bad' : ''}` }, state);
  }

  function facts(pairs) {
    return element('dl', {}, ...pairs.filter(([, value]) => value !== null && value !== '').map(([name, value]) =>
      element('div', {}, element('dt', {}, name), element('dd', {}, value))));
  }

  // ---- Plots ----------------------------------------------------------------------------------------------------

  function remember(key, value) {
    const list = histories.get(key) || [];
    list.push(value === null || value === undefined ? null : Number(value)); // null: not known, a gap
    if (list.length > HISTORY) list.shift();
    histories.set(key, list);
    return list;
  }

  /** What a counter grew by in each second. */
  function rememberRate(key, total) {
    const now = performance.now();
    const last = histories.get(`${key}#last`);
    histories.set(`${key}#last`, { total, now });
    const rate = last && now > last.now ? Math.max(0, (total - last.total) / ((now - last.now) / 1000)) : 0;
    return remember(key, rate);
  }

  function plot(title, values, shown) {
    const svgNs = 'http://www.w3.org/2000/svg';
    const known = values.filter((value) => value !== null);
    const most = Math.max(1e-9, ...known);
    const told = (value) => (value === null || value === undefined ? '–' : shown(value));
    const now = told(values[values.length - 1]);
    const svg = document.createElementNS(svgNs, 'svg');
    const label = `${title}: now ${now}, most ${told(known.length ? Math.max(...known) : null)}`;
    for (const [name, value] of Object.entries({ class: 'plot', viewBox: `0 0 ${HISTORY - 1} 40`, preserveAspectRatio: 'none', role: 'img', 'aria-label': label })) svg.setAttribute(name, value);
    const from = HISTORY - values.length;
    let points = [];
    values.concat(null).forEach((value, i) => {
      if (value !== null) {
        points.push(`${from + i},${(38 - 36 * (value / most)).toFixed(1)}`);
      } else if (points.length) {
        const line = document.createElementNS(svgNs, 'polyline');
        line.setAttribute('points', points.join(' '));
        svg.append(line);
        points = [];
      }
    });
    return element('figure', {}, svg, element('figcaption', {}, `${title}: ${now}`));
  }

  const shownRate = (value) => `${value < 10 ? value.toFixed(1) : Math.round(value).toLocaleString()}/s`;

  // ---- Requests -------------------------------------------------------------------------------------------------

  async function ask(method, path, body) {
    const answer = await fetch(path, {
      method,
      headers: { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: 'no-store', credentials: 'omit', redirect: 'error',
      signal: session ? session.signal : undefined,
    });
    const isJson = /json/.test(answer.headers.get('content-type') || '');
    const told = isJson ? await answer.json() : null;
    if (answer.ok) return told;
    const failure = new Error((told && told.detail) || `${answer.status} ${answer.statusText}`);
    failure.status = answer.status;
    throw failure;
  }

  /** Null for a part that this server does not have. */
  async function askIfThere(path) {
    try {
      return await ask('GET', path);
    } catch (failure) {
      if (failure.status === 404) return null;
      throw failure;
    }
  }

  function complain(text) {
    const alert = byId('alert');
    alert.hidden = !text;
    setText(alert, text || '');
  }

  async function act(button, work) {
    button.disabled = true;
    try {
      await work();
      complain('');
    } catch (failure) {
      if (failure.name !== 'AbortError') complain(failure.message);
    } finally {
      button.disabled = false;
      // A disabled button loses the focus in some browsers; a keyboard would begin at the top again.
      if (document.activeElement === document.body) button.focus();
    }
    await refresh();
  }

  function actionButton(text, label, work) {
    const button = element('button', { type: 'button', 'aria-label': label }, text);
    button.addEventListener('click', () => act(button, work));
    return button;
  }

  // ---- Engines --------------------------------------------------------------------------------------------------

  const GOOD_SOURCE = ['streaming', 'connected', 'STREAMING', 'CONNECTED'];
  const BAD = ['error', 'isolated', 'retrying', 'reconnecting', 'ERROR', 'RECONNECTING', 'backing_off'];

  function sourceCard(engine, source) {
    const key = `${engine}/${source.name}`;
    return element('div', { class: 'card' },
      element('div', { class: 'head' }, element('h3', {}, `Source ${source.name}`), stateBadge(source.state, GOOD_SOURCE, BAD)),
      facts([['Lag', shownMillis(source.lagMillis)], ['Lag in octets', shownCount(source.lagBytes)],
        ['Log kept for it', shownCount(source.retainedBytes)], ['Acknowledged', source.ackedPosition],
        ['Events', shownCount(source.events)], ['Reconnects', shownCount(source.reconnects)]]),
      source.lastError ? element('p', { class: 'error' }, source.lastError) : null,
      element('div', { class: 'plots' },
        plot('Lag', remember(`lag ${key}`, source.lagMillis), (v) => shownMillis(Math.round(v))),
        plot('Events', rememberRate(`events ${key}`, source.events), shownRate)));
  }

  function pipelineFacts(engine, pipeline) {
    const key = `${engine}/${pipeline.name}`;
    return element('div', { class: 'facts' },
      element('div', { class: 'head' }, element('h3', {}, `Pipeline ${pipeline.name}`), stateBadge(pipeline.state, ['streaming'], BAD)),
      facts([['Source', pipeline.source], ['Tables', pipeline.tables.map((t) => t.table + (t.ready ? '' : ' (baseline)')).join(', ')],
        ['Lag', shownMillis(pipeline.lagMillis)], ['Applied', shownCount(pipeline.applied)],
        ['Queued', shownCount(pipeline.queuedEvents)], ['Dead letters', shownCount(pipeline.deadLetters)]]),
      pipeline.lastError ? element('p', { class: 'error' }, pipeline.lastError) : null,
      element('div', { class: 'plots' },
        plot('Applied', rememberRate(`applied ${key}`, pipeline.applied), shownRate),
        plot('Queue', remember(`queue ${key}`, pipeline.queuedEvents), shownCount)));
  }

  function pipelineCard(engine, pipeline) {
    const at = `/engines/${encodeURIComponent(engine)}/pipelines/${encodeURIComponent(pipeline.name)}`;
    const name = pipeline.name;
    return element('div', { class: 'card' }, element('div', { class: 'facts' }), element('div', { class: 'actions' },
      actionButton('Retry', `Retry pipeline ${name}`, () => ask('POST', `${at}/retry`)),
      ...pipeline.tables.map((table) => actionButton(`Reload ${table.table}`, `Reload table ${table.table} of pipeline ${name}`,
        () => ask('POST', `${at}/reload?table=${encodeURIComponent(table.table)}`))),
      pipeline.deadLetters > 0
        ? actionButton('Replay dead letters', `Replay dead letters of pipeline ${name}`, () => ask('POST', `${at}/dead-letters/replay`)) : null));
  }

  function showEngines(engines) {
    byId('engines-section').hidden = engines === null;
    if (engines === null) return;
    const container = byId('engines');
    const keys = new Set();
    for (const { name, status } of engines) {
      keys.add(name);
      const at = `/engines/${encodeURIComponent(name)}`;
      const part = keyed(container, name, () => element('div', {},
        element('div', { class: 'head' }, element('h3', {}, `Engine ${name}`), element('span', { class: 'state' })),
        element('div', { class: 'actions' },
          actionButton('Pause', `Pause engine ${name}`, () => ask('POST', `${at}/pause`)),
          actionButton('Resume', `Resume engine ${name}`, () => ask('POST', `${at}/resume`))),
        element('div', { class: 'sources' }), element('div', { class: 'pipelines' })));
      setText(part.querySelector('.state'), !status.running ? 'stopped' : status.paused ? 'paused' : status.ready ? 'ready' : 'starting');
      part.querySelector('.sources').replaceChildren(...status.sources.map((source) => sourceCard(name, source)));
      const pipelines = part.querySelector('.pipelines');
      const shown = new Set();
      for (const pipeline of status.pipelines) {
        // Made anew where its buttons are others.
        const key = JSON.stringify([pipeline.name, pipeline.tables.map((t) => t.table), pipeline.deadLetters > 0]);
        shown.add(key);
        const card = keyed(pipelines, key, () => pipelineCard(name, pipeline));
        card.querySelector('.facts').replaceWith(pipelineFacts(name, pipeline));
      }
      keepOnly(pipelines, shown);
    }
    keepOnly(container, keys);
    if (engines.length === 0) keyed(container, '', () => element('p', {}, 'No engines.'));
  }

  // ---- Jobs -----------------------------------------------------------------------------------------------------

  function jobFacts(job) {
    const run = job.current;
    return element('div', { class: 'facts' },
      element('div', { class: 'head' }, element('h3', {}, job.name), stateBadge(job.state, ['idle', 'running', 'streaming'], BAD)),
      facts([['From', `${job.source.dialect} ${job.table_name}`], ['Next run', shownTime(job.next_run_at)],
        ['Last run', shownTime(job.last_run_at)], ['Cursor', job.cursor], ['Rows written', shownCount(job.rows_synced)],
        ['Rows erased', shownCount(job.rows_deleted)], ['Failures in a row', job.failures ? shownCount(job.failures) : ''],
        ['Run in hand', run ? `${shownCount(run.rows_synced)} rows, ${shownCount(run.pages)} pages` : '']]),
      job.last_error ? element('p', { class: 'error' }, job.last_error) : null,
      element('div', { class: 'plots' }, plot('Rows written', rememberRate(`rows ${job.name}`, job.rows_synced + (run ? run.rows_synced : 0)), shownRate)));
  }

  function jobCard(name) {
    const at = `/replication/jobs/${encodeURIComponent(name)}`;
    const button = (text, verb, query = '') => actionButton(text, `${text} job ${name}`, () => ask('POST', `${at}/${verb}${query}`));
    const remove = actionButton('Remove', `Remove job ${name}`, async () => {
      if (window.confirm(`Remove the job ${name}? Its table stays.`)) await ask('DELETE', at);
    });
    const runs = element('ol', { class: 'runs' });
    const history = element('details', {}, element('summary', {}, `Runs of ${name}`), runs);
    history.addEventListener('toggle', () => { if (history.open) showRuns(at, runs).catch((failure) => complain(failure.message)); });
    return element('div', { class: 'card' }, element('div', { class: 'facts' }), element('div', { class: 'actions' },
      button('Run', 'run', '?wait=false'), button('Pause', 'pause'), button('Resume', 'resume'), button('Cancel', 'cancel'),
      button('Reset', 'reset'), remove), history);
  }

  async function showRuns(at, list) {
    const { runs } = await ask('GET', `${at}/history?limit=20`);
    list.replaceChildren(...runs.map((run) => element('li', { value: run.id },
      `${shownTime(run.started_at)} ${run.trigger} ${run.outcome}: ${shownCount(run.rows_synced)} rows, ${shownMillis(Math.round(run.duration_ms))}${run.error ? `. ${run.error}` : ''}`)));
  }

  function showJobs(jobs) {
    byId('jobs-section').hidden = jobs === null;
    if (jobs === null) return;
    const container = byId('jobs');
    for (const job of jobs) {
      const card = keyed(container, job.name, () => jobCard(job.name));
      card.querySelector('.facts').replaceWith(jobFacts(job));
      const history = card.querySelector('details');
      if (history.open && card.dataset.seen !== job.last_run_at) {
        showRuns(`/replication/jobs/${encodeURIComponent(job.name)}`, history.querySelector('ol')).catch(() => {});
      }
      card.dataset.seen = job.last_run_at;
    }
    keepOnly(container, new Set(jobs.map((job) => job.name)));
    if (jobs.length === 0) keyed(container, '', () => element('p', {}, 'No jobs yet.'));
  }

  function jobFromForm(form) {
    const get = (name) => form.elements[name].value;
    const source = { dialect: get('dialect') };
    for (const name of ['host', 'user', 'password', 'database', 'tls']) if (get(name)) source[name] = get(name);
    if (get('port')) source.port = Number(get('port'));
    const job = { name: get('name'), source, table_name: get('table_name'), mode: get('mode') };
    for (const name of ['tracking_col', 'cron_tab', 'target_table']) if (get(name)) job[name] = get(name);
    if (job.tracking_col) job.tracking_type = get('tracking_type');
    if (!get('more').trim()) return job;
    let more;
    try {
      more = JSON.parse(get('more'));
    } catch (mistake) {
      throw new Error(`Other fields: ${mistake.message}`);
    }
    return { ...job, ...more, source: { ...source, ...(more.source || {}) } };
  }

  async function sendJob(path) {
    const answer = byId('job-answer');
    const form = byId('job-form');
    answer.className = '';
    if (!form.reportValidity()) return;
    try {
      const told = await ask('POST', path, jobFromForm(form));
      const did = path.endsWith('check') ? 'It would work.' : told.created ? 'Made.' : 'Changed.';
      setText(answer, [did, told.cursor_reset ? `The cursor was reset: ${told.reset_reason}.` : '', ...told.warnings].filter(Boolean).join(' '));
    } catch (failure) {
      answer.className = 'error';
      setText(answer, failure.message);
    }
    form.elements.password.value = '';
    await refresh();
  }

  // ---- The feed -------------------------------------------------------------------------------------------------

  function addChange(change) {
    const body = byId('changes').tBodies[0];
    body.prepend(element('tr', {}, element('td', {}, new Date(change.at).toLocaleTimeString()), element('td', {}, change.what),
      element('td', {}, change.table), element('td', {}, change.key)));
    while (body.rows.length > SHOWN) body.lastElementChild.remove();
  }

  function addEvent(event) {
    const list = byId('events');
    list.prepend(element('li', {}, `${new Date(event.at).toLocaleTimeString()} ${event.where}, ${event.what}: ${event.text}`));
    while (list.children.length > SHOWN) list.lastElementChild.remove();
  }

  /** EventSource cannot send a token, so the stream is read by hand. */
  async function readFeed(signal, lastId) {
    const headers = { authorization: `Bearer ${token}`, accept: 'text/event-stream' };
    if (lastId) headers['last-event-id'] = lastId;
    const answer = await fetch('/admin/changes', { headers, signal, cache: 'no-store', credentials: 'omit', redirect: 'error' });
    if (!answer.ok) throw Object.assign(new Error(`the change feed: ${answer.status}`), { status: answer.status });
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return lastId;
      text += value;
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const fields = { event: '', data: '', id: '' };
        for (const line of text.slice(0, end).split('\n')) {
          const colon = line.indexOf(':');
          if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 1).replace(/^ /, '');
        }
        text = text.slice(end + 2);
        if (fields.id) lastId = fields.id;
        if (fields.event === 'change') addChange(JSON.parse(fields.data));
        if (fields.event === 'event') addEvent(JSON.parse(fields.data));
      }
    }
  }

  async function follow(signal) {
    let lastId = '';
    while (!signal.aborted) {
      try {
        lastId = await readFeed(signal, lastId);
      } catch (failure) {
        if (failure.status === 404 || failure.status === 401 || failure.status === 403) return;
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  // ---- The session ----------------------------------------------------------------------------------------------

  async function refresh() {
    if (!session) return;
    const own = session;
    try {
      const [engines, jobs] = await Promise.all([askIfThere('/engines'), askIfThere('/replication/jobs')]);
      if (own !== session) return;
      showEngines(engines && engines.engines);
      showJobs(jobs && jobs.jobs);
      setText(byId('connection'), 'Connected');
    } catch (failure) {
      if (own !== session || failure.name === 'AbortError') return;
      if (failure.status === 401 || failure.status === 403) {
        signOut();
        complain(failure.status === 403 ? 'This token is no admin\'s.' : 'The token was refused.');
        return;
      }
      setText(byId('connection'), `Not connected: ${failure.message}`);
    }
  }

  async function poll(own) {
    while (session === own) {
      await refresh();
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  async function begin() {
    session = new AbortController();
    const own = session;
    setText(byId('connection'), 'Connecting');
    await refresh();
    if (session !== own) return;
    sessionStorage.setItem(TOKEN_KEY, token);
    complain('');
    byId('sign-in').hidden = true;
    byId('content').hidden = false;
    byId('sign-out').hidden = false;
    byId('main').focus();
    follow(own.signal);
    poll(own);
  }

  function signOut() {
    if (session) session.abort();
    session = null;
    token = '';
    sessionStorage.removeItem(TOKEN_KEY);
    histories.clear();
    byId('engines').replaceChildren();
    byId('jobs').replaceChildren();
    byId('changes').tBodies[0].replaceChildren();
    byId('events').replaceChildren();
    byId('content').hidden = true;
    byId('sign-out').hidden = true;
    byId('sign-in').hidden = false;
    setText(byId('connection'), 'Not signed in');
    byId('token').focus();
  }

  byId('sign-in').addEventListener('submit', (event) => {
    event.preventDefault();
    token = byId('token').value.trim();
    byId('token').value = '';
    begin();
  });
  byId('sign-out').addEventListener('click', () => { complain(''); signOut(); });
  byId('job-form').addEventListener('submit', (event) => { event.preventDefault(); sendJob('/replication/jobs'); });
  byId('check-job').addEventListener('click', () => sendJob('/replication/check'));
  if (token) begin();
})();
