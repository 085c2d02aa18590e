// The Shape API itself, by plain requests: fields, caches, errors, rights.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { startServer, until } from './server.mjs'

let server
before(async () => (server = await startServer({ longPollMs: 500, eventStreamMs: 1000 })))
after(async () => assert.equal(await server.stop(), 0))

const ask = (query, options = {}, path = '/v1/shape') =>
  fetch(`${server.url}${path}?${new URLSearchParams({ table: 'items', ...query })}`, options)
const field = (response, name) => response.headers.get(name)

// Reads on until everything is there: where to ask from next.
async function upToDate(query = {}) {
  let response = await ask({ offset: '-1', ...query })
  const messages = []
  for (;;) {
    assert.equal(response.status, 200)
    messages.push(...(await response.json()))
    const place = { offset: field(response, 'electric-offset'), handle: field(response, 'electric-handle') }
    if (response.headers.has('electric-up-to-date')) return { place, messages, response }
    response = await ask({ ...query, ...place })
  }
}

describe('answers', () => {
  test('the beginning has the rows, the schema, a place, and no word of being up to date', async () => {
    await server.insert(1, { title: 'a "quoted" text', amount: '1.50', Owner: 'ada' })
    const response = await ask({ offset: '-1' })
    assert.equal(response.status, 200)
    assert.match(field(response, 'content-type'), /^application\/json/)
    assert.equal(field(response, 'cache-control'),
      'public, max-age=604800, s-maxage=3600, stale-while-revalidate=2629746')
    assert.equal(response.headers.has('electric-up-to-date'), false)
    assert.equal(response.headers.has('electric-cursor'), false)
    assert.equal(field(response, 'electric-has-data'), 'true')
    assert.deepEqual(JSON.parse(field(response, 'electric-schema')), {
      id: { type: 'int4', pk_index: 0, not_null: true },
      title: { type: 'text' },
      amount: { type: 'numeric', precision: 10, scale: 2 },
      done: { type: 'bool' },
      tags: { type: 'jsonb' },
      seen: { type: 'timestamptz' },
      Owner: { type: 'varchar', max_length: 40 },
    })
    assert.match(field(response, 'etag'),
      new RegExp(`^"${field(response, 'electric-handle')}:-1:${field(response, 'electric-offset')}"$`))
    assert.deepEqual(await response.json(), [{
      key: '"public"."items"/"1"',
      value: { id: '1', title: 'a "quoted" text', amount: '1.50', done: null, tags: null, seen: null, Owner: 'ada' },
      headers: { operation: 'insert', relation: ['public', 'items'] },
    }])
  })

  test('the next answer says that it is up to date, and may be cached for a minute', async () => {
    const { response, messages } = await upToDate()
    assert.equal(field(response, 'cache-control'), 'public, max-age=60, stale-while-revalidate=300')
    assert.equal(field(response, 'electric-up-to-date'), '')
    assert.equal(messages.at(-1).headers.control, 'up-to-date')
    assert.match(messages.at(-1).headers.global_last_seen_lsn, /^\d+$/)
  })

  test('a change says where it stands and which transaction it belongs to', async () => {
    const { place } = await upToDate()
    const { txid } = await server.update(1, { title: 'b' })
    const response = await ask({ ...place, live: 'true' })
    const [message, control] = await response.json()
    assert.deepEqual(message.headers, {
      operation: 'update', relation: ['public', 'items'], txids: [txid], lsn: message.headers.lsn, op_position: 1, last: true,
    })
    assert.deepEqual(message.value, { id: '1', title: 'b' })
    assert.equal(control.headers.control, 'up-to-date')
    assert.equal(field(response, 'electric-offset'), `${message.headers.lsn}_1`)
  })

  test('a live answer has a cursor, a short life in caches, and no schema', async () => {
    const { place } = await upToDate()
    const response = await ask({ ...place, live: 'true', cursor: '12' })
    assert.equal(response.status, 200)
    assert.equal(field(response, 'cache-control'), 'public, max-age=5, stale-while-revalidate=5')
    assert.equal(response.headers.has('electric-schema'), false)
    assert.equal(field(response, 'electric-has-data'), 'false')
    assert.equal(field(response, 'electric-offset'), place.offset)
    assert.equal((await response.json())[0].headers.control, 'up-to-date')
    assert.match(field(response, 'electric-cursor'), /^\d+$/)
  })

  test('a silent long poll ends up to date, and its ETag is never the same again', async () => {
    const { place } = await upToDate()
    const first = await ask({ ...place, live: 'true' })
    assert.equal(first.status, 200)
    const again = await ask({ ...place, live: 'true' }, { headers: { 'if-none-match': field(first, 'etag') } })
    assert.equal(again.status, 200)
    assert.notEqual(field(again, 'etag'), field(first, 'etag'))
  })

  test('an ETag that the client has already is answered without a body', async () => {
    for (const query of [{ offset: '-1' }, (await upToDate()).place]) {
      const first = await ask(query)
      const again = await ask(query, { headers: { 'if-none-match': `"other", ${field(first, 'etag')}` } })
      assert.equal(again.status, 304)
      assert.equal(await again.text(), '')
      assert.equal(field(again, 'etag'), field(first, 'etag'))
      assert.equal(field(again, 'electric-handle'), field(first, 'electric-handle'))
      const other = await ask(query, { headers: { 'if-none-match': '"other"' } })
      assert.equal(other.status, 200)
    }
    const { place } = await upToDate()
    const before = await ask(place)
    await server.update(1, { title: 'changed' })
    const changed = await ask(place, { headers: { 'if-none-match': field(before, 'etag') } })
    assert.equal(changed.status, 200)
  })

  test('offset=now says where the log ends, and nothing of what was', async () => {
    const response = await ask({ offset: 'now' })
    assert.equal(response.headers.has('electric-up-to-date'), true)
    assert.deepEqual((await response.json()).map((m) => m.headers.control), ['up-to-date'])
    const place = { offset: field(response, 'electric-offset'), handle: field(response, 'electric-handle') }
    await server.insert(2, { title: 'later' })
    const [message] = await (await ask({ ...place, live: 'true' })).json()
    assert.equal(message.value.title, 'later')
    await server.remove(2)
  })

  test('log=changes_only begins without rows', async () => {
    const response = await ask({ offset: '-1', log: 'changes_only' })
    assert.deepEqual(await response.json(), [])
    const place = { offset: field(response, 'electric-offset'), handle: field(response, 'electric-handle') }
    await server.insert(3, { title: 'first' })
    const [message] = await (await ask({ ...place, log: 'changes_only' })).json()
    assert.equal(message.headers.operation, 'insert')
    await server.remove(3)
  })

  test('several changes pushed together keep their order', async () => {
    const { place } = await upToDate()
    await server.push(
      { op: 'INSERT', id: 5, columns: { title: 'x' } }, { op: 'UPDATE', id: 5, columns: { title: 'y' } },
      { op: 'DELETE', id: 5 })
    const messages = await (await ask(place)).json()
    assert.deepEqual(messages.slice(0, 3).map((m) => m.headers.operation), ['insert', 'update', 'delete'])
  })

  test('a large answer is compressed where the client takes that', async () => {
    await server.fill(1000, 1400)
    const response = await ask({ offset: '-1', where: 'id >= 1000' }, { headers: { 'accept-encoding': 'gzip' } })
    assert.equal(field(response, 'content-encoding'), 'gzip')
    assert.equal((await response.json()).length, 401)
  })
})

describe('event streams', () => {
  test('send each change, then that it was the last, and end by themselves', async () => {
    const { place } = await upToDate()
    const response = await ask({ ...place, live: 'true', live_sse: 'true' })
    assert.equal(field(response, 'content-type'), 'text/event-stream')
    assert.equal(field(response, 'cache-control'), 'public, max-age=1')
    assert.ok(response.headers.has('electric-cursor'))
    await server.insert(7, { title: 'line\nbreak' })
    await server.remove(7)
    const text = await response.text()
    const events = text.split('\n\n').filter((e) => e.startsWith('data: ')).map((e) => JSON.parse(e.slice(6)))
    const changes = events.filter((e) => e.headers.operation)
    assert.deepEqual(changes.map((e) => e.headers.operation), ['insert', 'delete'])
    assert.equal(changes[0].value.title, 'line\nbreak')
    const control = events.at(-1)
    assert.equal(control.headers.control, 'up-to-date')
    // What Electric's client makes of it: nothing more comes from there.
    const next = await ask({ ...place, offset: `${control.headers.global_last_seen_lsn}_0` })
    assert.deepEqual((await next.json()).map((m) => m.headers.control), ['up-to-date'])
  })

  test('end when the shape does, and the next request is told', async () => {
    const { place } = await upToDate()
    const response = await ask({ ...place, live: 'true', live_sse: 'true' })
    await server.rotate()
    assert.equal(await response.text(), '')
    assert.equal((await ask({ ...place, live: 'true', live_sse: 'true' })).status, 409)
  })
})

describe('shapes that end', () => {
  test('a handle that is over is answered with 409, the new handle, and must-refetch', async () => {
    const { place } = await upToDate()
    await server.rotate()
    const response = await ask(place)
    assert.equal(response.status, 409)
    assert.equal(field(response, 'cache-control'), 'public, max-age=60, must-revalidate')
    assert.deepEqual(await response.json(), [{ headers: { control: 'must-refetch' } }])
    assert.notEqual(field(response, 'electric-handle'), place.handle)
    const fresh = await ask({ offset: '-1', handle: field(response, 'electric-handle') })
    assert.equal(field(fresh, 'electric-handle'), field(response, 'electric-handle'))
  })

  test('a handle of another shape is none of this one', async () => {
    const { place } = await upToDate()
    assert.equal((await ask({ ...place, where: 'id = 1' })).status, 409)
    assert.equal((await ask({ ...place, columns: 'id,title' })).status, 409)
    assert.equal((await ask({ ...place, replica: 'full' })).status, 409)
  })

  test('a long poll that waits is told at once', async () => {
    const { place } = await upToDate()
    const [response] = await Promise.all([ask({ ...place, live: 'true' }), server.rotate()])
    assert.equal(response.status, 409)
  })

  test('DELETE ends a shape, by table or by handle', async () => {
    const { place } = await upToDate({ where: 'id = 1' })
    assert.equal((await ask({ where: 'id = 1' }, { method: 'DELETE' })).status, 202)
    assert.equal((await ask({ ...place, where: 'id = 1' })).status, 409)
    const again = await upToDate()
    const url = `${server.url}/v1/shape?handle=${again.place.handle}`
    assert.equal((await fetch(url, { method: 'DELETE' })).status, 202)
    assert.equal((await fetch(url, { method: 'DELETE' })).status, 404)
  })

  test('an expired handle is not given out again', async () => {
    const first = await ask({ offset: '-1' })
    const handle = field(first, 'electric-handle')
    const second = await ask({ offset: '-1', expired_handle: handle })
    assert.notEqual(field(second, 'electric-handle'), handle)
  })
})

describe('what is refused', () => {
  const cases = [
    [{ offset: '' }, 'offset', /blank/],
    [{ offset: 'x' }, 'offset', /format/],
    [{ offset: '5_5' }, 'handle', /blank/],
    [{ offset: '-1', live: 'true' }, 'live', /can't be true/],
    [{ offset: '-1', live: 'perhaps' }, 'live', /invalid/],
    [{ offset: '5_5', handle: 'h', live_sse: 'true' }, 'live_sse', /live/],
    [{ offset: '-1', table: 'nothing' }, 'table', /does not exist/],
    [{ offset: '-1', table: 'it"ems' }, 'table', /name/],
    [{ offset: '-1', columns: 'title' }, 'columns', /primary key/],
    [{ offset: '-1', columns: 'id,nothing' }, 'columns', /nothing/],
    [{ offset: '-1', columns: 'id,Owner' }, 'columns', /owner/],
    [{ offset: '-1', replica: 'half' }, 'replica', /full/],
    [{ offset: '-1', where: 'title = ' }, 'where', /At location 8: /],
    [{ offset: '-1', where: 'nothing = 1' }, 'where', /At location 0: unknown column/],
    [{ offset: '-1', where: 'id = $1' }, 'where', /\$1/],
    [{ offset: '-1', where: 'id = $1', 'params[1]': 'one' }, 'where', /At location 5: "one" is no int8/],
    [{ offset: '-1', where: "lower(title) = 'a'" }, 'where', /function/],
    [{ offset: '-1', where: "title = 'a'; DROP TABLE items" }, 'where', /At location 11/],
    [{ offset: '-1', subset__where: 'id = 1' }, 'subset__where', /subset/],
  ]
  for (const [query, name, why] of cases) {
    test(`${JSON.stringify(query)} because of ${name}`, async () => {
      const response = await ask(query)
      assert.equal(response.status, 400)
      assert.equal(field(response, 'cache-control'), 'no-store')
      const body = await response.json()
      assert.equal(body.message, 'Invalid request')
      assert.match(body.errors[name][0], why)
    })
  }

  test('a place that has not been yet', async () => {
    const { place } = await upToDate()
    const response = await ask({ ...place, offset: '999999999999999999_0' })
    assert.equal(response.status, 400)
    assert.match((await response.json()).errors.offset[0], /out of bounds/)
  })

  test('other methods', async () => {
    const response = await ask({ offset: '-1' }, { method: 'PUT' })
    assert.equal(response.status, 405)
    assert.match(field(response, 'allow'), /GET/)
  })
})

describe('names', () => {
  test('a table may be named with its schema, in any case, or quoted', async () => {
    for (const table of ['items', 'public.items', 'Items', 'PUBLIC.Items', '"public"."items"']) {
      assert.equal((await ask({ offset: '-1', table })).status, 200, table)
    }
    assert.equal((await ask({ offset: '-1', table: '"Items"' })).status, 400)
  })

  test('columns keep their case in quotes', async () => {
    const response = await ask({ offset: '-1', columns: '"id","Owner"', where: 'id = 1' })
    assert.deepEqual((await response.json()).map((m) => Object.keys(m.value)), [['id', 'Owner']])
  })
})

describe('rights', () => {
  const own = (query, token) =>
    ask(query, token ? { headers: { authorization: `Bearer ${token}` } } : {}, '/private/v1/shape')

  test('whoever is not known gets nothing', async () => {
    const response = await own({ offset: '-1' })
    assert.equal(response.status, 401)
    assert.deepEqual(await response.json(), { message: 'who are you?' })
    assert.equal((await own({ offset: '-1' }, 'eve')).status, 401)
  })

  test("the host's condition holds beside the client's own, and only private caches keep the answer", async () => {
    await server.push({ op: 'INSERT', id: 60, columns: { title: 'mine', Owner: 'ada' } },
      { op: 'INSERT', id: 61, columns: { title: "bob's", Owner: 'bob' } })
    const response = await own({ offset: '-1', where: 'id >= 60 OR true' }, 'ada')
    assert.match(field(response, 'cache-control'), /^private, /)
    const titles = (await response.json()).map((m) => m.value)
    assert.ok(titles.every((row) => row.Owner === 'ada'))
    assert.ok(titles.some((row) => row.title === 'mine'))
  })
})

describe('web pages', () => {
  test('may read the fields that clients need', async () => {
    const response = await ask({ offset: '-1' }, { headers: { origin: 'https://app.example' } })
    assert.equal(field(response, 'access-control-allow-origin'), '*')
    const exposed = field(response, 'access-control-expose-headers').toLowerCase()
    for (const name of ['cursor', 'handle', 'offset', 'schema', 'up-to-date']) assert.match(exposed, new RegExp(`electric-${name}`))
  })

  test('may ask first', async () => {
    const response = await ask({}, {
      method: 'OPTIONS',
      headers: { origin: 'https://app.example', 'access-control-request-method': 'GET',
        'access-control-request-headers': 'if-none-match' },
    })
    assert.equal(response.status, 204)
    assert.match(field(response, 'access-control-allow-methods'), /GET/)
  })
})

test('a server that stops answers who waits', async (t) => {
  const other = await startServer({ longPollMs: 30_000 })
  const first = await fetch(`${other.url}/v1/shape?table=items&offset=now`)
  const query = `table=items&live=true&offset=${field(first, 'electric-offset')}&handle=${field(first, 'electric-handle')}`
  const poll = fetch(`${other.url}/v1/shape?${query}`)
  const stream = await fetch(`${other.url}/v1/shape?${query}&live_sse=true`)
  await until('both wait', async () => (await (await fetch(`${other.url}/control/waiting`)).json()).waiting === 2)
  assert.equal(await other.stop(), 0)
  assert.equal((await poll).status, 200)
  assert.equal(await stream.text(), '')
})
