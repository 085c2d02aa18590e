// Starts the program under test, and talks to it.
import { spawn } from 'node:child_process'
import net from 'node:net'
import readline from 'node:readline'

export async function startServer(options = {}) {
  const args = Object.entries(options).map(([name, value]) => `${name}=${value}`)
  const child = spawn(process.env.SHAPE_SERVER, args, { stdio: ['pipe', 'pipe', 'ignore'] })
  const lines = readline.createInterface({ input: child.stdout })
  const url = await new Promise((resolve, reject) => {
    lines.once('line', resolve)
    child.once('exit', (code) => reject(new Error(`the server ended with ${code}`)))
  })
  const post = async (path, body) => {
    const response = await fetch(url + path, { method: 'POST', body: JSON.stringify(body) })
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
    return response.status === 204 ? undefined : response.json()
  }
  return {
    url,
    // {op, id, columns} each; answers with the transaction's number.
    push: (...changes) => post('/control/push', { changes }),
    insert: (id, columns = {}) => post('/control/push', { changes: [{ op: 'INSERT', id, columns }] }),
    update: (id, columns) => post('/control/push', { changes: [{ op: 'UPDATE', id, columns }] }),
    remove: (id) => post('/control/push', { changes: [{ op: 'DELETE', id }] }),
    fill: (from, to) => post('/control/fill', { from, to }),
    rotate: () => post('/control/rotate', {}),
    async stop() {
      const ended = new Promise((resolve) => child.once('exit', resolve))
      child.stdin.end()
      return ended
    },
  }
}

// Waits for a condition. Tests never wait for a time.
export async function until(what, condition, timeout = 20_000) {
  const deadline = Date.now() + timeout
  for (;;) {
    if (await condition()) return
    if (Date.now() > deadline) throw new Error(`did not happen: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

// Forwards connections to a server, and cuts them all when told to.
export async function startProxy(target) {
  const { hostname, port } = new URL(target)
  const open = new Set()
  const server = net.createServer((client) => {
    const upstream = net.connect(Number(port), hostname)
    for (const [from, to] of [[client, upstream], [upstream, client]]) {
      open.add(from)
      from.on('error', () => {})
      from.on('close', () => {
        open.delete(from)
        to.destroy()
      })
      from.pipe(to)
    }
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    cut() {
      const count = open.size
      for (const socket of open) socket.destroy()
      return count
    },
    stop() {
      for (const socket of open) socket.destroy()
      return new Promise((resolve) => server.close(resolve))
    },
  }
}

// A seeded source of choices: the seed is printed by whoever makes it.
export function choices(seed) {
  let state = BigInt(seed) * 0x9e3779b97f4a7c15n + 1n
  const next = () => {
    state ^= state >> 12n
    state = BigInt.asUintN(64, state ^ (state << 25n))
    state ^= state >> 27n
    return Number(BigInt.asUintN(64, state * 0x2545f4914f6cdd1dn) >> 33n)
  }
  return { below: (bound) => next() % bound, pick: (list) => list[next() % list.length] }
}
