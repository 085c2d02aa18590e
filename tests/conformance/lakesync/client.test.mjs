// LakeSync's own client against sync_api_server: its transports, and its engine with a local SQLite of its own.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { after, before, test } from "node:test";
import WebSocket from "ws";
import { extractDelta, HLC, HttpTransport, LocalDB, MemoryQueue, registerSchema, SyncEngine, SyncTracker, WebSocketTransport } from "./lakesync.mjs";

globalThis.WebSocket = WebSocket;
let server, url;

before(async () => {
  server = spawn(process.env.SYNC_API_SERVER, { stdio: ["pipe", "pipe", "inherit"] });
  url = await new Promise((resolve) => server.stdout.on("data", (text) => resolve(/Listening on (\S+)/.exec(text)[1])));
});
after(() => server.stdin.end());

const http = (token, gatewayId = "main") => new HttpTransport({ baseUrl: url, gatewayId, token });
const socket = (token, onBroadcast) =>
  new WebSocketTransport({ url: `${url.replace("http", "ws")}/sync/main/ws`, token, onBroadcast, reconnectBaseMs: 20, httpConfig: { baseUrl: url, gatewayId: "main", token } });
const ok = (result) => {
  assert.ok(result.ok, result.ok ? "" : result.error.message);
  return result.value;
};
async function until(holds) {
  for (let i = 0; i < 1000; ++i) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.fail("it never came true");
}
async function delta(clientId, rowId, after, before = null) {
  return extractDelta(before, after, { table: "todos", rowId, clientId, hlc: new HLC().now() });
}
async function everything(transport, clientId) {
  const rows = new Map();
  for (let since = 0n, more = true; more; ) {
    const page = ok(await transport.pull({ clientId, sinceHlc: since, maxDeltas: 3 }));
    for (const d of page.deltas) rows.set(d.rowId, d);
    [since, more] = [page.serverHlc, page.hasMore];
  }
  return rows;
}

/// Its engine, queue, tracker and database, as its coordinator puts them together.
async function device(clientId, transport) {
  const db = ok(await LocalDB.open({ name: clientId, backend: "memory" }));
  ok(await registerSchema(db, { table: "todos", columns: [{ name: "owner", type: "string" }, { name: "title", type: "string" }, { name: "n", type: "number" }] }));
  const queue = new MemoryQueue();
  const hlc = new HLC();
  const engine = new SyncEngine({ db, transport, queue, hlc, clientId });
  const tracker = new SyncTracker(db, queue, hlc, clientId);
  return {
    engine, tracker,
    sync: () => engine.syncOnce(async () => {}),
    rows: async () => ok(await db.query("SELECT _rowId AS id, owner, title, n FROM todos ORDER BY 1")),
  };
}

test("its delta ids are ours: a push of its own deltas is taken, and pulled by another", async () => {
  const pushed = ok(await http("ada").push({ clientId: "ada", lastSeenHlc: 0n, deltas: [await delta("ada", "ids", { owner: "all", title: "Café \u{1F600}", n: 1.5 }), await delta("ada", "ids2", { owner: "bob", n: 12345678901, deep: { a: [1, null] } })] }));
  assert.equal(pushed.accepted, 2);
  assert.equal(typeof pushed.serverHlc, "bigint");
  // The second is bob's alone: the devices below have no column "deep".
  const rows = await everything(http("bob"), "bob");
  assert.equal(rows.get("ids").columns.find((c) => c.column === "title").value, "Café \u{1F600}");
  assert.deepEqual(rows.get("ids2").columns.find((c) => c.column === "deep").value, { a: [1, null] });
});

test("what is refused is an error with its code", async () => {
  const asAnother = await http("ada").push({ clientId: "bob", lastSeenHlc: 0n, deltas: [] });
  assert.match(asAnother.error.message, /\(403\).*\[FORBIDDEN\]/);
  const ahead = await delta("ada", "ahead", { owner: "all" });
  ahead.hlc += 3_600_000n << 16n;
  assert.equal((await http("ada").push({ clientId: "ada", lastSeenHlc: 0n, deltas: [ahead] })).ok, false);
  assert.match((await http("ada", "none").pull({ clientId: "ada", sinceHlc: 0n, maxDeltas: 1 })).error.message, /\(404\).*\[NOT_FOUND\]/);
  assert.match((await http("").pull({ clientId: "ada", sinceHlc: 0n, maxDeltas: 1 })).error.message, /\(401\)/);
});

test("its checkpoint reader reads ours, filtered by who asks", async () => {
  ok(await http("eve").push({ clientId: "eve", lastSeenHlc: 0n, deltas: [await delta("eve", "eves", { owner: "eve" })] }));
  const eves = ok(await http("eve").checkpoint());
  assert.ok(eves.deltas.some((d) => d.rowId === "eves") && eves.snapshotHlc > 0n);
  assert.ok(!ok(await http("bob").checkpoint()).deltas.some((d) => d.rowId === "eves"));
  const next = ok(await http("eve").pull({ clientId: "eve", sinceHlc: eves.snapshotHlc, maxDeltas: 10 }));
  assert.equal(next.deltas.length, 0);
});

test("its WebSocket pushes, pulls and hears broadcasts", async () => {
  const heard = [];
  const one = socket("ws1"), two = socket("ws2", (deltas) => heard.push(...deltas));
  one.connect();
  two.connect();
  await until(() => one.connected && two.connected);
  // As its coordinator does on connecting; broadcasts go on from there.
  ok(await two.pull({ clientId: "ws2", sinceHlc: 0n, maxDeltas: 1000 }));
  assert.equal(ok(await one.push({ clientId: "ws1", lastSeenHlc: 0n, deltas: [await delta("ws1", "byws", { owner: "all", n: 1 }), await delta("ws1", "hidden", { owner: "ws1" })] })).accepted, 2);
  await until(() => heard.some((d) => d.rowId === "byws"));
  const page = ok(await two.pull({ clientId: "ws2", sinceHlc: 0n, maxDeltas: 1000 }));
  assert.ok(page.deltas.some((d) => d.rowId === "byws") && !page.deltas.some((d) => d.rowId === "hidden"));
  assert.ok(!heard.some((d) => d.rowId === "hidden"));
  assert.equal(ok(await two.checkpoint()).deltas.some((d) => d.rowId === "byws"), true);
  one.disconnect();
  two.disconnect();
});

test("two devices of it end alike, though each pushes between the other's pulls", async () => {
  const phone = await device("phone", http("phone")), desk = await device("desk", http("desk"));
  for (let i = 0; i < 10; ++i) {
    ok(await phone.tracker.insert("todos", `p${i}`, { owner: "all", title: `by phone ${i}`, n: i }));
    ok(await desk.tracker.insert("todos", `d${i}`, { owner: "all", title: `by desk ${i}`, n: i }));
    await phone.sync();
    await desk.sync();
  }
  ok(await phone.tracker.update("todos", "d3", { title: "changed by phone" }));
  ok(await desk.tracker.delete("todos", "p4"));
  await until(async () => {
    await phone.sync();
    await desk.sync();
    const [a, b] = [await phone.rows(), await desk.rows()];
    return a.length >= 19 && JSON.stringify(a) === JSON.stringify(b) && !a.some((row) => row.id === "p4") && a.find((row) => row.id === "d3")?.title === "changed by phone";
  });
});
