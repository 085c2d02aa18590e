// Kinesis, DynamoDB and S3 on free ports of 127.0.0.1. Prints the ports once all three listen.
const kinesalite = require('kinesalite')
const dynalite = require('dynalite')
const S3rver = require('s3rver')

const listen = (server) =>
  new Promise((resolve) => {
    server.keepAliveTimeout = 60_000
    server.listen(0, '127.0.0.1', () => resolve(server.address().port))
  })

const main = async () => {
  const kinesis = await listen(
    kinesalite({ createStreamMs: 0, deleteStreamMs: 0, updateStreamMs: 0, shardLimit: 10_000 }))
  const dynamodb = await listen(dynalite({ createTableMs: 0, deleteTableMs: 0, updateTableMs: 0 }))
  const s3 = await new S3rver({
    address: '127.0.0.1',
    port: 0,
    silent: true,
    directory: process.argv[2] + '/s3',
    configureBuckets: [{ name: 'snapshots' }],
    allowMismatchedSignatures: true,
  }).run()
  console.log(kinesis, dynamodb, s3.port)
}
main()
