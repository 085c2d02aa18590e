// Kinesis, DynamoDB and S3 on free ports of 127.0.0.1. Prints the ports once all three listen.
// Where the emulators are weaker than AWS in what tests rely upon, they are mended here.
const fs = require('fs')
const path = require('path')
const crypto = require('crypto')
const { Readable, Transform } = require('stream')
const { pipeline } = require('stream/promises')

// kinesalite refuses an iterator that is younger than its clock, and orders records by it: it must not go back.
const wall = Date.now
let latest = 0
Date.now = () => (latest = Math.max(latest, wall()))

const kinesalite = require('kinesalite')
const dynalite = require('dynalite')
const S3rver = require('s3rver')

// kinesalite and dynalite throw where a request breaks off half-way, as it does when a test cuts connections.
process.on('uncaughtException', (error) => console.error(error))

// Between two requests of a test nothing may end a connection that the test means to use again.
const patient = (server) => Object.assign(server, { keepAliveTimeout: 600_000 })

const listen = (server) =>
  new Promise((resolve) => patient(server).listen(0, '127.0.0.1', () => resolve(server.address().port)))

// s3rver's own answers while its file is still being written: on a slow disk a reader then finds half of it.
async function putObject(object) {
  const file = this.getResourcePath(object.bucket, object.key, 'object')
  await fs.promises.mkdir(path.dirname(file), { recursive: true })
  const md5 = crypto.createHash('md5')
  let size = 0
  const count = new Transform({
    transform(piece, encoding, done) {
      md5.update(piece)
      size += piece.length
      done(null, piece)
    },
  })
  const content = Buffer.isBuffer(object.content) ? Readable.from([object.content]) : object.content
  const whole = `${file}.${crypto.randomBytes(8).toString('hex')}`
  await pipeline(content, count, fs.createWriteStream(whole))
  const sum = md5.digest('hex')
  await fs.promises.rename(whole, file)
  await this.putMetadata(object.bucket, object.key, object.metadata, sum)
  return { size, md5: sum }
}

// The same streams with what AWS does to a reader on a bad day: one read in five is throttled, one in ten finds its
// iterator expired.
const moody = (kinesis) => {
  const [answer] = kinesis.listeners('request')
  return require('http').createServer((req, res) => {
    const mood = Math.random()
    if (!/GetRecords$/.test(req.headers['x-amz-target']) || mood > 0.3) return answer(req, res)
    const type = mood < 0.2 ? 'ProvisionedThroughputExceededException' : 'ExpiredIteratorException'
    req.resume().on('end', () => {
      res.writeHead(400, { 'content-type': 'application/x-amz-json-1.1' })
      res.end(JSON.stringify({ __type: type, message: 'a bad day' }))
    })
  })
}

const main = async () => {
  const streams = kinesalite({ createStreamMs: 0, deleteStreamMs: 0, updateStreamMs: 0, shardLimit: 10_000 })
  const kinesis = await listen(streams)
  const badKinesis = await listen(moody(streams))
  const dynamodb = await listen(dynalite({ createTableMs: 0, deleteTableMs: 0, updateTableMs: 0 }))
  const s3 = new S3rver({
    address: '127.0.0.1',
    port: 0,
    silent: true,
    directory: process.argv[2] + '/s3',
    configureBuckets: [{ name: 'snapshots' }],
    allowMismatchedSignatures: true,
  })
  s3.store.putObject = putObject
  const { port } = await s3.run()
  patient(s3.httpServer)
  console.log(kinesis, dynamodb, port, badKinesis)
}
main().catch((error) => {
  console.error(error)
  process.exit(1)
})
