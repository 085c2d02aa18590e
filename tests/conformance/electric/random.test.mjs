// Random changes, read by many clients of every kind while rotations, cut connections and trimmed logs get in their way:
// each ends with exactly the rows that its condition takes. SHAPE_SEED=n repeats one.
import assert from 'node:assert/strict'
import { setMaxListeners } from 'node:events'
import { test } from 'node:test'
import { Shape, ShapeStream } from '@electric-sql/client'
import { choices, startProxy, startServer, until } from './server.mjs'

// Streams that end after 400 ms are what the client warns of.
console.warn = () => {}

const conditions = [
  [undefined, () => true],
  ['done', (row) => row.done === true],
  ['NOT done', (row) => row.done === false],
  ['amount > 50 AND title IS NOT NULL', (row) => row.amount !== null && Number(row.amount) > 50 && row.title !== null],
  ['id IN (1, 2, 3, 5, 8, 13, 21)', (row) => [1, 2, 3, 5, 8, 13, 21].includes(row.id)],
  ["title = 'b'", (row) => row.title === 'b'],
  ["title LIKE '%a%' OR amount BETWEEN 10 AND 20",
    (row) => (row.title ?? '').includes('a') || (row.amount !== null && Number(row.amount) >= 10 && Number(row.amount) <= 20)],
]
const cell = { title: ['a', 'b', 'ab', 'c', null], amount: ['5', '15.5', '51', null], done: ['true', 'false', null] }

function change(random, model) {
  const id = 1 + random.below(25)
  const columns = {}
  for (const name of Object.keys(cell)) if (random.below(2) === 0) columns[name] = random.pick(cell[name])
  const typed = { ...columns }
  if ('done' in typed && typed.done !== null) typed.done = typed.done === 'true'
  if (!model.has(id)) {
    model.set(id, { id, title: null, amount: null, done: null, ...typed })
    return { op: 'INSERT', id, columns }
  }
  if (random.below(4) === 0) {
    model.delete(id)
    return { op: 'DELETE', id }
  }
  Object.assign(model.get(id), typed)
  return { op: 'UPDATE', id, columns: Object.keys(columns).length ? columns : { title: model.get(id).title } }
}

async function run(t, seed) {
  const random = choices(seed)
  const server = await startServer({ logBytes: 20_000, chunkRows: 7, longPollMs: 300, eventStreamMs: 400 })
  t.after(() => server.stop())
  const proxy = await startProxy(server.url)
  t.after(() => proxy.stop())
  const aborter = new AbortController()
  setMaxListeners(0, aborter.signal)
  t.after(() => aborter.abort())
  const model = new Map()
  const clients = []
  const openClient = () => {
    const [where, takes] = random.pick(conditions)
    const path = random.pick(['/v1/shape', '/engine/v1/shape'])
    const liveSse = random.below(2) === 0
    const stream = new ShapeStream({
      // Caches of the client go by the URL: each has its own.
      url: `${random.below(2) ? proxy.url : server.url}${path}`,
      params: { table: 'items', columns: ['id', 'title', 'amount', 'done'], ...(where ? { where } : {}), client: String(clients.length) },
      signal: aborter.signal, liveSse, warnOnHttp: false,
      backoffOptions: { initialDelay: 2, maxDelay: 20, multiplier: 2 },
    })
    clients.push({ shape: new Shape(stream), takes, what: `${path} ${where} ${liveSse ? 'sse' : 'poll'}` })
  }
  for (let step = 0; step < 150; ++step) {
    const kind = random.below(40)
    if (kind < 3 && clients.length < 12) openClient()
    else if (kind === 3) proxy.cut()
    else if (kind === 4) await server.rotate()
    else await server.push(...Array.from({ length: 1 + random.below(4) }, () => change(random, model)))
  }
  for (const { shape, takes, what } of clients) {
    const expected = [...model.values()].filter(takes).map((row) => JSON.stringify(row)).sort()
    const found = () => [...shape.currentValue.values()].map((row) => JSON.stringify(row)).sort()
    await until(`seed ${seed}: ${what}`, () => found().join() === expected.join()).catch((e) => {
      assert.deepEqual(found(), expected, e.message)
    })
  }
  return clients.length
}

const seeds = process.env.SHAPE_SEED ? [Number(process.env.SHAPE_SEED)] : Array.from({ length: 20 }, (_, i) => i + 1)
for (const seed of seeds) {
  test(`seed ${seed}`, async (t) => assert.ok((await run(t, seed)) > 0))
}
