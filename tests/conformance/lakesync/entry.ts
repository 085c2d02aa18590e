// What of LakeSync's client the tests use, bundled from a checkout of its repository.
export { HttpTransport } from "@lakesync-repo/client/src/sync/transport-http";
export { WebSocketTransport } from "@lakesync-repo/client/src/sync/transport-ws";
export { SyncEngine } from "@lakesync-repo/client/src/sync/engine";
export { MemoryQueue } from "@lakesync-repo/client/src/queue/memory-queue";
export { LocalDB } from "@lakesync-repo/client/src/db/local-db";
export { registerSchema } from "@lakesync-repo/client/src/db/schema-registry";
export { SyncTracker } from "@lakesync-repo/client/src/sync/tracker";
export { HLC, extractDelta } from "@lakesync/core";
