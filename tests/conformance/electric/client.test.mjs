// @electric-sql/client against a gateway's shapes and against an engine's, by long polls and by event streams.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Shape, ShapeStream, isChangeMessage, isControlMessage } from '@electric-sql/client'
import { startProxy, startServer, until } from './server.mjs'

const backoffOptions = { initialDelay: 5, maxDelay: 50, multiplier: 2 }

// A stream that ends with the test, what it was told, and how.
function open(t, url, params = {}, options = {}) {
  const aborter = new AbortController()
  t.after(() => aborter.abort())
  const contentTypes = []
  const urls = []
  const fetchClient = async (...args) => {
    urls.push(String(args[0]))
    const response = await fetch(...args)
    contentTypes.push(response.headers.get('content-type'))
    return response
  }
  const stream = new ShapeStream({
    url,
    params: { table: 'items', ...params },
    signal: aborter.signal,
    fetchClient,
    backoffOptions,
    warnOnHttp: false,
    ...options,
  })
  const messages = []
  stream.subscribe((batch) => void messages.push(...batch), () => {})
  const changes = () => messages.filter(isChangeMessage)
  return { stream, shape: new Shape(stream), messages, changes, contentTypes, urls, stop: () => aborter.abort() }
}

const titles = (shape) =>
  [...shape.currentValue.values()].map((row) => `${row.id}:${row.title}`).sort().join(' ')

for (const [feed, path] of [['a gateway', '/v1/shape'], ['an engine', '/engine/v1/shape']]) {
  for (const liveSse of [false, true]) {
    describe(`${feed}, ${liveSse ? 'event streams' : 'long polls'}`, () => {
      let server
      before(async () => (server = await startServer({ longPollMs: 2000 })))
      after(async () => assert.equal(await server.stop(), 0))

      test('rows arrive typed, and every change after them', async (t) => {
        await server.insert(1, { title: 'one', amount: '1.50', done: 'true', tags: '{"a":[1]}', Owner: 'ada' })
        await server.insert(2, { title: 'two', seen: '2026-01-02 03:04:05.5+00' })
        const { shape, changes, contentTypes } = open(t, server.url + path, {}, { liveSse })
        await until('both rows', async () => (await shape.rows).length === 2)
        assert.deepEqual(shape.currentValue.get('"public"."items"/"1"'), {
          id: 1, title: 'one', amount: '1.50', done: true, tags: { a: [1] }, seen: null, Owner: 'ada',
        })
        assert.equal(shape.currentValue.get('"public"."items"/"2"').seen, '2026-01-02 03:04:05.5+00')
        await server.insert(3, { title: 'three' })
        await server.update(1, { title: 'ONE' })
        await server.remove(2)
        await until('all three changes', () => titles(shape) === '1:ONE 3:three')
        const told = changes().slice(-3).map((m) => [m.headers.operation, m.value])
        assert.deepEqual(told[0][0], 'insert')
        assert.deepEqual(told[1], ['update', { id: 1, title: 'ONE' }])
        assert.deepEqual(told[2], ['delete', { id: 2 }])
        assert.equal(contentTypes.includes('text/event-stream'), liveSse)
        for (const id of [1, 3]) await server.remove(id)
        await until('none left', () => shape.currentValue.size === 0)
      })

      test('a row that begins to meet the condition is inserted, one that ceases to is deleted', async (t) => {
        const where = { where: 'title LIKE $1 AND ("Owner" = $2 OR "Owner" IS NULL)', params: { 1: 'v%', 2: 'ada' } }
        const { shape, changes } = open(t, server.url + path, where, { liveSse })
        await shape.rows
        await server.insert(10, { title: 'hidden' })
        await server.insert(11, { title: 'visible', Owner: 'ada' })
        await until('the visible one', () => titles(shape) === '11:visible')
        await server.update(10, { title: 'very visible' })
        await server.update(11, { Owner: 'bob' })
        await until('one in, one out', () => titles(shape) === '10:very visible')
        const told = changes().map((m) => `${m.headers.operation} ${m.value.id}`)
        assert.deepEqual(told, ['insert 11', 'insert 10', 'delete 11'])
        assert.equal(changes()[1].value.title, 'very visible')
        for (const id of [10, 11]) await server.remove(id)
      })

      test('only the columns asked for are sent, and only changes of them', async (t) => {
        await server.insert(20, { title: 'a', Owner: 'ada' })
        const { shape, changes } = open(t, server.url + path, { columns: ['id', 'Owner'] }, { liveSse })
        await until('the row', async () => (await shape.rows).length === 1)
        assert.deepEqual((await shape.rows)[0], { id: 20, Owner: 'ada' })
        await server.update(20, { title: 'not told' })
        await server.update(20, { Owner: 'bob' })
        await until('the owner', () => shape.currentValue.get('"public"."items"/"20"').Owner === 'bob')
        assert.equal(changes().length, 2)
        await server.remove(20)
      })

      test('replica=full brings whole rows and what they were', async (t) => {
        await server.insert(30, { title: 'before', done: 'false' })
        const { shape, changes } = open(t, server.url + path, { replica: 'full' }, { liveSse })
        await until('the row', async () => (await shape.rows).length === 1)
        await server.update(30, { title: 'after' })
        await server.remove(30)
        await until('its end', () => changes().length === 3)
        const [, update, remove] = changes()
        assert.equal(update.value.done, false)
        assert.deepEqual(update.old_value, { title: 'before' })
        assert.equal(remove.value.title, 'after')
      })

      test('after a rotation clients fetch again, under another handle', async (t) => {
        await server.insert(40, { title: 'stays' })
        const { stream, shape, messages } = open(t, server.url + path, {}, { liveSse })
        await until('the row', async () => (await shape.rows).length === 1)
        const handle = stream.shapeHandle
        await server.rotate()
        await server.insert(41, { title: 'new' })
        await until('both again', () => titles(shape) === '40:stays 41:new')
        assert.notEqual(stream.shapeHandle, handle)
        assert.ok(messages.some((m) => isControlMessage(m) && m.headers.control === 'must-refetch'))
        for (const id of [40, 41]) await server.remove(id)
      })

      test('connections that are cut lose and repeat nothing', async (t) => {
        const proxy = await startProxy(server.url)
        t.after(() => proxy.stop())
        const { shape, changes } = open(t, proxy.url + path, {}, { liveSse })
        await until('an empty table', async () => (await shape.rows).length === 0)
        const before = changes().length
        for (let round = 0; round < 10; ++round) {
          await server.insert(100 + round, { title: `r${round}` })
          if (round % 2 === 0) proxy.cut()
          await until(`round ${round}`, () => shape.currentValue.size === round + 1)
        }
        assert.equal(changes().length, before + 10)
        for (let round = 0; round < 10; ++round) await server.remove(100 + round)
        await until('none left', () => shape.currentValue.size === 0)
        assert.equal(changes().length, before + 20)
      })

      test('a client goes on where another time it stopped', async (t) => {
        const first = open(t, server.url + path, {}, { liveSse })
        await first.shape.rows
        await server.insert(50, { title: 'seen' })
        await until('the row', () => titles(first.shape) === '50:seen')
        await until('its end', () => first.messages.at(-1).headers.control === 'up-to-date')
        const { lastOffset: offset, shapeHandle: handle } = first.stream
        first.stop()
        await server.insert(51, { title: 'while away' })
        const second = open(t, server.url + path, {}, { liveSse, offset, handle })
        await until('what came meanwhile', () => second.changes().length > 0)
        assert.deepEqual(second.changes().map((m) => m.value.title), ['while away'])
        for (const id of [50, 51]) await server.remove(id)
      })
    })
  }
}

describe('snapshots and bounded logs', () => {
  test('a large table comes in pieces, each row once', async (t) => {
    const server = await startServer({ chunkRows: 70 })
    t.after(() => server.stop())
    await server.fill(1, 1000)
    const { shape, changes, urls } = open(t, server.url + '/v1/shape', { where: 'id > 500' })
    await shape.rows
    assert.equal(shape.currentValue.size, 500)
    assert.equal(changes().length, 500)
    assert.ok(urls.length >= 15, `${urls.length} requests`)
  })

  test('changes made while a snapshot is fetched are not lost', async (t) => {
    const server = await startServer({ chunkRows: 50 })
    t.after(() => server.stop())
    await server.fill(1, 500)
    const { shape, changes } = open(t, server.url + '/v1/shape')
    await until('a part of it', () => changes().length > 0)
    for (let id = 1; id <= 500; id += 25) await server.remove(id)
    await server.insert(501, { title: 'late' })
    await until('the end', () => shape.currentValue.size === 481 && shape.currentValue.has('"public"."items"/"501"'))
  })

  test('a client that was away for longer than the log reaches fetches again', async (t) => {
    const server = await startServer({ logBytes: 5_000, longPollMs: 2000 })
    t.after(() => server.stop())
    await server.insert(1, { title: 'old' })
    const first = open(t, server.url + '/v1/shape')
    const stays = open(t, server.url + '/v1/shape')
    await until('the row', async () => (await first.shape.rows).length === 1)
    const { lastOffset: offset, shapeHandle: handle } = first.stream
    first.stop()
    await server.remove(1)
    for (let id = 2; id < 60; ++id) {
      await server.insert(id, { title: `row ${id}` })
      await until('the other client', () => stays.shape.currentValue.has(`"public"."items"/"${id}"`))
    }
    const second = open(t, server.url + '/v1/shape', {}, { offset, handle })
    await until('everything', async () => (await second.shape.rows).length === 58)
    assert.equal(second.messages[0].headers.control, 'must-refetch')
    assert.ok(!second.shape.currentValue.has('"public"."items"/"1"'))
    await server.insert(60, { title: 'after' })
    await until('both', () => second.shape.currentValue.size === 59 && stays.shape.currentValue.size === 59)
    assert.ok(!stays.messages.some((m) => m.headers.control === 'must-refetch'), 'the other client was left alone')
  })
})
