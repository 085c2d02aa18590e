// Starts npm @durable-streams/server on a free port of loopback, and says where.
import { DurableStreamTestServer } from "@durable-streams/server"

const server = new DurableStreamTestServer({ port: 0, longPollTimeout: 500 })
await server.start()
console.log(`Listening on ${server.url}`)
process.on("SIGTERM", async () => {
  await server.stop()
  process.exit(0)
})
