// Reads vitest's JSON report: node report.mjs REPORT NAME. Prints the counts and every failure; exits 1 where a test
// failed or was skipped, or where there was none.
import { readFileSync } from "node:fs"

const [file, name] = process.argv.slice(2)
const tests = JSON.parse(readFileSync(file, "utf8")).testResults.flatMap((one) => one.assertionResults)
const count = (status) => tests.filter((test) => test.status === status).length
const others = tests.filter((test) => test.status !== "passed")
for (const test of others) {
  console.error(`${name}: ${test.status}: ${test.fullName}`)
  for (const message of test.failureMessages ?? []) console.error(`  ${message.split("\n").slice(0, 8).join("\n  ")}`)
}
console.log(`${name}: ${count("passed")} of ${tests.length} tests passed`)
if (tests.length === 0) console.error(`${name}: no test ran`)
process.exit(tests.length > 0 && others.length === 0 ? 0 : 1)
