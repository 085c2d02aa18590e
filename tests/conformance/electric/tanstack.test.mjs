// @tanstack/electric-db-collection: a collection that reads a shape, writes through the host, and waits for its own
// transactions to come back.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createCollection, createLiveQueryCollection, eq } from '@tanstack/db'
import { electricCollectionOptions } from '@tanstack/electric-db-collection'
import { startServer, until } from './server.mjs'

let server
before(async () => (server = await startServer({ longPollMs: 2000 })))
after(async () => assert.equal(await server.stop(), 0))

function open(t, params = {}, liveSse = false) {
  const aborter = new AbortController()
  const collection = createCollection(electricCollectionOptions({
    id: `items ${Math.random()}`,
    getKey: (row) => row.id,
    shapeOptions: {
      url: `${server.url}/v1/shape`,
      params: { table: 'items', ...params },
      signal: aborter.signal,
      liveSse,
      warnOnHttp: false,
    },
    onInsert: async ({ transaction }) => {
      const { id, ...columns } = transaction.mutations[0].modified
      return server.push({ op: 'INSERT', id, columns })
    },
    onUpdate: async ({ transaction }) => {
      const { original, changes } = transaction.mutations[0]
      return server.push({ op: 'UPDATE', id: original.id, columns: changes })
    },
    onDelete: async ({ transaction }) => server.push({ op: 'DELETE', id: transaction.mutations[0].original.id }),
  }))
  t.after(async () => {
    aborter.abort()
    await collection.cleanup()
  })
  return collection
}

for (const liveSse of [false, true]) {
  describe(liveSse ? 'by event streams' : 'by long polls', () => {
    test('writes are awaited until they have come back, and then are no longer optimistic', async (t) => {
      const items = open(t, {}, liveSse)
      await items.preload()
      await items.insert({ id: 1, title: 'a' }).isPersisted.promise
      assert.equal(items.get(1).title, 'a')
      assert.equal(items.get(1).done, null, 'the row is the server\'s: columns that were not given are there')
      await items.update(1, (draft) => void (draft.title = 'b')).isPersisted.promise
      assert.equal(items.get(1).title, 'b')
      await items.delete(1).isPersisted.promise
      assert.equal(items.has(1), false)
    })

    test('changes by others arrive, and live queries see them', async (t) => {
      const items = open(t, {}, liveSse)
      await items.preload()
      const done = createLiveQueryCollection((q) => q.from({ item: items }).where(({ item }) => eq(item.done, true)))
      await done.preload()
      await server.insert(2, { title: 'c', done: 'false' })
      await until('the row', () => items.has(2))
      assert.equal(done.size, 0)
      await server.update(2, { done: 'true' })
      await until('the query', () => done.size === 1)
      await server.remove(2)
      await until('its end', () => done.size === 0 && !items.has(2))
      await done.cleanup()
    })

    test('a condition with parameters limits the collection', async (t) => {
      const items = open(t, { where: 'amount >= $1', params: ['10'] }, liveSse)
      await items.preload()
      await server.push({ op: 'INSERT', id: 3, columns: { amount: '9.99' } }, { op: 'INSERT', id: 4, columns: { amount: '10.00' } })
      await until('one', () => items.has(4))
      assert.equal(items.has(3), false)
      await server.update(3, { amount: '20' })
      await server.update(4, { amount: '1' })
      await until('the other', () => items.has(3) && !items.has(4))
      await server.push({ op: 'DELETE', id: 3 }, { op: 'DELETE', id: 4 })
    })

    test('a rotation leaves the collection as the table is', async (t) => {
      await server.insert(5, { title: 'kept' })
      const items = open(t, {}, liveSse)
      await items.preload()
      await until('the row', () => items.has(5))
      await server.rotate()
      await server.push({ op: 'INSERT', id: 6, columns: { title: 'new' } }, { op: 'DELETE', id: 5 })
      await until('the new one alone', () => items.has(6) && !items.has(5))
      await items.insert({ id: 7, title: 'after' }).isPersisted.promise
      await server.push({ op: 'DELETE', id: 6 }, { op: 'DELETE', id: 7 })
    })
  })
}
