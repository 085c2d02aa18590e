// The reference server, for tests/bench: node ds_peer.mjs [FOLDER]. Prints "port N", after what the
// server itself has to say.
import { DurableStreamTestServer } from "@durable-streams/server"

const dataDir = process.argv[2]
const server = new DurableStreamTestServer({ port: 0, host: "127.0.0.1", ...(dataDir ? { dataDir } : {}) })
console.log(`port ${new URL(await server.start()).port}`)
