// vitest leaves out node_modules, where the suite is.
export default {
  test: {
    include: ["server.test.mjs"],
    exclude: [],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    server: { deps: { inline: [/@durable-streams/] } },
  },
}
