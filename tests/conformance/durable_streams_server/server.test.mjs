// The suite's own launcher finds no tests under its vitest, so its exported suite is run from here.
import { runConformanceTests } from "@durable-streams/server-conformance-tests"

runConformanceTests({ baseUrl: process.env.TIDEGATE_URL, longPollTimeoutMs: 15_000, subscriptions: true })
