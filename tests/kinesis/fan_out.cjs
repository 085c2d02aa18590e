// Enhanced fan-out before kinesalite, which has none: consumers, and subscriptions that are read with GetRecords and
// framed as AWS frames them. Everything else is passed on. For HTTP/1.1 and HTTP/2 alike.
const http = require('http')
const zlib = require('zlib')

// node 20's zlib has no crc32 yet.
const steps = Array.from({ length: 256 }, (_, octet) => {
  for (let bit = 0; bit < 8; ++bit) octet = octet & 1 ? (octet >>> 1) ^ 0xedb88320 : octet >>> 1
  return octet >>> 0
})
const crc32 = zlib.crc32 ?? ((octets) => {
  let crc = 0xffffffff
  for (const octet of octets) crc = (crc >>> 8) ^ steps[(crc ^ octet) & 0xff]
  return (crc ^ 0xffffffff) >>> 0
})

const word = (number) => {
  const octets = Buffer.alloc(4)
  octets.writeUInt32BE(number)
  return octets
}

const frame = (headers, payload) => {
  const named = Object.entries(headers).map(([name, value]) =>
    Buffer.concat([Buffer.from([name.length]), Buffer.from(name), Buffer.from([7, value.length >> 8, value.length & 255]),
      Buffer.from(value)]))
  const head = Buffer.concat(named), body = Buffer.from(JSON.stringify(payload))
  const prelude = Buffer.concat([word(16 + head.length + body.length), word(head.length)])
  const message = Buffer.concat([prelude, word(crc32(prelude)), head, body])
  return Buffer.concat([message, word(crc32(message))])
}
const json = { ':content-type': 'application/x-amz-json-1.1' }
const event = (type, payload) => frame({ ':event-type': type, ...json, ':message-type': 'event' }, payload)
const exception = (type, message) =>
  frame({ ':exception-type': type, ...json, ':message-type': 'exception' }, { message })

const agent = new http.Agent({ keepAlive: true })
const send = (port, headers, body) =>
  new Promise((resolve, reject) => {
    const request = http.request({ port, host: '127.0.0.1', method: 'POST', agent, headers }, (answer) => {
      const pieces = []
      answer.on('data', (piece) => pieces.push(piece))
      answer.on('end', () => resolve({ status: answer.statusCode, type: answer.headers['content-type'], body: Buffer.concat(pieces) }))
      answer.on('error', reject)
    })
    request.on('error', reject)
    request.end(body)
  })

class Refused extends Error {
  constructor(type, message, status = 400) {
    super(message)
    this.type = type
    this.status = status
  }
}

/// `moods` says how often, of a hundred events: a cut within a message, an octet that is another, an end, a failure of
/// theirs; and of a hundred calls of SubscribeToShard, how many are too many. `busyMs`: AWS's five seconds, shorter.
module.exports = (port, { lifeMs = 300_000, busyMs = 100, pollMs = 5, moods = {}, onlyHttp2 = false } = {}) => {
  const consumers = new Map() // by ARN: when it is ACTIVE
  const subscribed = new Map() // by consumer and shard: when, and what ends it
  const places = new Map() // of events without records: where they go on
  const bad = (mood) => Math.random() * 100 < (moods[mood] ?? 0)

  const ask = async (action, body, authorization) => {
    const answer = await send(port, { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': `Kinesis_20131202.${action}`,
      'x-amz-date': '20200101T000000Z', authorization }, JSON.stringify(body))
    const parsed = JSON.parse(answer.body)
    if (answer.status !== 200) throw new Refused(parsed.__type.split('#').pop(), parsed.message ?? '', answer.status)
    return parsed
  }

  const aboutConsumers = async (action, body, authorization) => {
    const streamArn = body.StreamARN ?? (body.ConsumerARN ?? '').split('/consumer/')[0]
    const name = body.ConsumerName ?? (body.ConsumerARN ?? '').split('/consumer/')[1]?.split(':')[0]
    const arn = `${streamArn}/consumer/${name}:1`
    const stream = streamArn.split('/')[1]
    const described = () => ({ ConsumerARN: arn, ConsumerName: name, ConsumerCreationTimestamp: 1,
      ConsumerStatus: consumers.get(arn) <= Date.now() ? 'ACTIVE' : 'CREATING' })
    if (action === 'RegisterStreamConsumer') {
      await ask('DescribeStreamSummary', { StreamName: stream }, authorization)
      if (consumers.has(arn)) throw new Refused('ResourceInUseException', `consumer ${name} is there`)
      if ([...consumers.keys()].filter((known) => known.startsWith(streamArn + '/')).length >= 20) {
        throw new Refused('LimitExceededException', 'too many consumers')
      }
      consumers.set(arn, Date.now() + 30)
      return { Consumer: described() }
    }
    if (!consumers.has(arn)) throw new Refused('ResourceNotFoundException', `there is no consumer ${name}`)
    if (action === 'DeregisterStreamConsumer') return consumers.delete(arn), {}
    return { ConsumerDescription: { ...described(), StreamARN: streamArn } }
  }

  const start = async (body, authorization) => {
    if (bad('throttle')) throw new Refused('LimitExceededException', 'Rate exceeded')
    const { ConsumerARN: arn, ShardId, StartingPosition: from } = body
    if (!consumers.has(arn)) throw new Refused('ResourceNotFoundException', 'there is no such consumer')
    if (consumers.get(arn) > Date.now()) throw new Refused('ResourceInUseException', 'it is not in ACTIVE status')
    const key = `${arn} ${ShardId}`
    const last = subscribed.get(key)
    if (last && Date.now() - last.since < busyMs) {
      throw new Refused('ResourceInUseException', 'Another active subscription exists for this consumer')
    }
    const StreamName = arn.split('/')[1]
    const place = from.Type === 'AFTER_SEQUENCE_NUMBER' && places.get(from.SequenceNumber)
    const { ShardIterator } = place ? { ShardIterator: place } : await ask('GetShardIterator', { StreamName, ShardId, ShardIteratorType: from.Type,
      StartingSequenceNumber: from.SequenceNumber, Timestamp: from.Timestamp }, authorization)
    const mine = { since: Date.now(), over: false }
    subscribed.get(key)?.takenOver?.()
    subscribed.set(key, mine)
    return { mine, iterator: ShardIterator, StreamName, ShardId }
  }

  const childrenOf = async (StreamName, shard, authorization) => {
    const { Shards } = await ask('ListShards', { StreamName }, authorization)
    return Shards.filter((one) => one.ParentShardId === shard || one.AdjacentParentShardId === shard).map((one) => ({
      ShardId: one.ShardId, HashKeyRange: one.HashKeyRange,
      ParentShards: [one.ParentShardId, one.AdjacentParentShardId].filter(Boolean) }))
  }

  /// Waits until the peer takes more.
  const drained = (res, mine) => new Promise((resolve) => {
    const go = () => { res.off('drain', go); res.off('close', go); resolve() }
    res.on('drain', go)
    res.on('close', go)
    if (mine.over) go()
  })

  const feed = async (res, subscription, authorization) => {
    const { mine, StreamName, ShardId } = subscription
    let { iterator } = subscription
    res.on('close', () => { mine.over = true })
    mine.takenOver = () => {
      if (mine.over) return
      mine.over = true
      res.end(exception('ResourceInUseException', 'another subscription took its place'))
    }
    res.writeHead(200, { 'content-type': 'application/vnd.amazon.eventstream' })
    res.write(event('initial-response', {}))
    for (let first = true, told = 0; !mine.over; first = false) {
      const answer = await ask('GetRecords', { ShardIterator: iterator, Limit: 20 }, authorization)
      if (mine.over) return
      iterator = answer.NextShardIterator
      const records = answer.Records
      const children = iterator ? [] : await childrenOf(StreamName, ShardId, authorization)
      if (mine.over) return
      if (!iterator && children.length === 0) throw new Refused('InternalFailureException', 'a moment', 500)
      if (records.length || first || children.length || Date.now() - told > 1_000) {
        // Where nothing was read there is a place to go on all the same: a number that no record has.
        const continuation = records.at(-1)?.SequenceNumber ?? String(9_000_000 + places.size)
        if (iterator && !records.length) places.set(continuation, iterator)
        const message = event('SubscribeToShardEvent', { Records: records, MillisBehindLatest: answer.MillisBehindLatest ?? 0,
          ContinuationSequenceNumber: iterator ? continuation : null, ...(children.length ? { ChildShards: children } : {}) })
        told = Date.now()
        if (bad('cut')) return mine.over = true, res.write(message.subarray(0, message.length >> 1), () => (res.stream ?? res).destroy())
        if (bad('damage')) message[message.length >> 1] ^= 1
        if (!res.write(message)) await drained(res, mine)
        if (mine.over) return
        if (children.length || bad('end')) return mine.over = true, res.end()
        if (bad('fail')) return mine.over = true, res.end(exception('InternalFailureException', 'a bad day'))
      }
      if (Date.now() - mine.since > lifeMs) return mine.over = true, res.end()
      await new Promise((resolve) => setTimeout(resolve, pollMs))
    }
  }

  const answer = (res, status, body, type = 'application/x-amz-json-1.1') => {
    res.writeHead(status, { 'content-type': type })
    res.end(body)
  }

  return async (req, res) => {
    let streaming = false
    try {
      const pieces = []
      for await (const piece of req) pieces.push(piece)
      const body = Buffer.concat(pieces)
      const action = (req.headers['x-amz-target'] ?? '').split('.').pop()
      const { authorization } = req.headers
      if (action.endsWith('StreamConsumer')) {
        return answer(res, 200, JSON.stringify(await aboutConsumers(action, JSON.parse(body), authorization)))
      }
      if (action === 'SubscribeToShard') {
        if (onlyHttp2 && req.httpVersionMajor !== 2) throw new Refused('InvalidArgumentException', 'this call needs HTTP/2')
        const subscription = await start(JSON.parse(body), authorization)
        streaming = true
        return await feed(res, subscription, authorization)
      }
      const passed = Object.fromEntries(Object.entries(req.headers).filter(([name]) => !name.startsWith(':') && name !== 'connection'))
      const from = await send(port, passed, body)
      answer(res, from.status, from.body, from.type)
    } catch (error) {
      if (streaming) return res.end(exception(error.type ?? 'InternalFailureException', error.message))
      answer(res, error.status ?? 500, JSON.stringify({ __type: error.type ?? 'InternalFailureException', message: error.message }))
    }
  }
}
