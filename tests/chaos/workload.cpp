#include "chaos/workload.h"

#include <fmt/format.h>

#include "servers/support.h"
#include "tidegate/core/clock.h"
#include "tidegate/postgres/query_fn.h"

namespace tidegate::chaos {

namespace {

using test::Random;

std::string text(Random& random, std::size_t most) {
  std::string out;
  const std::size_t length = random.index(most);
  for (std::size_t i = 0; i < length; ++i) out += static_cast<char>('a' + random.index(26));
  return out;
}

std::string accounts(Random& random) {
  const auto id = random.below(4'000);
  switch (random.below(4)) {
    case 0:
      return fmt::format(
          "INSERT INTO accounts (id, branch, balance, note) VALUES ({}, {}, {}.{:04}, '{}') "
          "ON CONFLICT (id) DO UPDATE SET balance = accounts.balance + 1, updated_at = clock_timestamp()",
          id, random.below(50), random.between(-100'000, 100'000), random.below(10'000), text(random, 30));
    case 1:
      return fmt::format("DELETE FROM accounts WHERE id = {}", id);
    case 2:
      return fmt::format(
          "UPDATE accounts SET id = id + 10000 WHERE id = {} AND NOT EXISTS (SELECT FROM accounts WHERE id = {})", id,
          id + 10'000);
    default:
      return fmt::format(
          "UPDATE accounts SET branch = {}, note = {}, updated_at = clock_timestamp() WHERE id BETWEEN {} AND {}",
          random.below(50), random.chance(20) ? "NULL" : "'" + text(random, 60) + "'", id, id + random.below(6));
  }
}

std::string documents(Random& random) {
  const auto id = random.below(300);
  switch (random.below(4)) {
    case 0:  // incompressible, so that it is stored out of line
      return fmt::format(
          "INSERT INTO documents (id, title, body, version) SELECT {}, '{}', string_agg(md5(random()::text), ''), 1 "
          "FROM "
          "generate_series(1, {}) ON CONFLICT (id) DO UPDATE SET version = documents.version + 1",
          id, text(random, 20), 100 + random.below(400));
    case 1:
      return fmt::format("DELETE FROM documents WHERE id = {}", id);
    default:  // leaves the body alone
      return fmt::format("UPDATE documents SET version = version + 1, title = '{}' WHERE id = {}", text(random, 20),
                         id);
  }
}

std::string pairs(Random& random) {
  const std::string region = std::string(1, static_cast<char>('A' + random.index(4))) + (random.chance(30) ? "é" : "e");
  const auto code = random.below(200);
  switch (random.below(4)) {
    case 0:
      return fmt::format("INSERT INTO pairs VALUES ('{}', {}, random()) ON CONFLICT DO NOTHING", region, code);
    case 1:
      return fmt::format("DELETE FROM pairs WHERE region = '{}' AND code = {}", region, code);
    case 2:
      return fmt::format(
          "UPDATE pairs SET code = code + 1000 WHERE region = '{}' AND code BETWEEN {} AND {} AND NOT EXISTS "
          "(SELECT FROM pairs p WHERE p.region = pairs.region AND p.code = pairs.code + 1000)",
          region, code, code + 3);
    default:
      return fmt::format("UPDATE pairs SET value = value + 1 WHERE region = '{}'", region);
  }
}

std::string events(Random& random) {
  if (random.chance(70)) {
    return fmt::format(
        "INSERT INTO events SELECT gen_random_uuid(), clock_timestamp(), jsonb_build_object('n', n, 'text', '{}') FROM "
        "generate_series(1, {}) n",
        text(random, 40), 1 + random.below(5));
  }
  return fmt::format("DELETE FROM events WHERE id IN (SELECT id FROM events ORDER BY id LIMIT {})", random.below(40));
}

std::string shifting(Random& random) {
  const auto id = random.below(500);
  if (random.chance(20)) return fmt::format("DELETE FROM shifting WHERE id = {}", id);
  if (random.chance(3)) return "TRUNCATE shifting";
  return fmt::format("INSERT INTO shifting (id, a) VALUES ({}, '{}') ON CONFLICT (id) DO UPDATE SET a = EXCLUDED.a", id,
                     text(random, 12));
}

std::string oneStatement(Random& random) {
  switch (random.below(10)) {
    case 0:
    case 1:
    case 2:
    case 3:
      return accounts(random);
    case 4:
    case 5:
      return documents(random);
    case 6:
    case 7:
      return pairs(random);
    case 8:
      return events(random);
    default:
      return shifting(random);
  }
}

std::string largeStatement(Random& random) {
  const auto rows = 2'000 + random.below(20'000);
  if (random.chance(50)) {
    return fmt::format(
        "INSERT INTO events SELECT gen_random_uuid(), clock_timestamp(), jsonb_build_object('large', n) FROM "
        "generate_series(1, {}) n",
        rows);
  }
  return random.chance(50) ? "UPDATE accounts SET balance = balance + 0.0001" : "DELETE FROM events";
}

}  // namespace

const std::vector<CheckedTable>& checkedTables() {
  static const std::vector<CheckedTable> tables{{"accounts", "accounts", "id, branch, note"},
                                                {"documents", "documents", "id, title, body, version"},
                                                {"pairs", "pairs", "region, code"},
                                                {"shifting", "shifting", "id, a"}};
  return tables;
}

const std::vector<std::string>& sourceTables() {
  static const std::vector<std::string> tables{"public.accounts", "public.documents", "public.pairs", "public.events",
                                               "public.shifting"};
  return tables;
}

void createTables(const QueryFn& admin) {
  servers::execute(
      admin, {"CREATE TABLE accounts (id bigint PRIMARY KEY, branch int NOT NULL, balance numeric(20,4), note text, "
              "updated_at "
              "timestamptz NOT NULL DEFAULT clock_timestamp())",
              "CREATE TABLE documents (id bigint PRIMARY KEY, title text, body text, version int NOT NULL)",
              "ALTER TABLE documents ALTER COLUMN body SET STORAGE EXTERNAL",
              "CREATE TABLE pairs (region varchar(20), code int, value double precision, PRIMARY KEY (region, code))",
              "CREATE TABLE events (id uuid PRIMARY KEY, at timestamptz NOT NULL, payload jsonb)",
              "ALTER TABLE events REPLICA IDENTITY FULL", "CREATE TABLE shifting (id bigint PRIMARY KEY, a text)",
              "INSERT INTO accounts SELECT n, n % 50, n / 7.0, 'account ' || n FROM generate_series(1, 3000) n",
              "INSERT INTO documents SELECT n, 'title', (SELECT string_agg(md5(random()::text || m || n), '') FROM "
              "generate_series(1, 200) m), 1 FROM generate_series(1, 150) n",
              "INSERT INTO pairs SELECT 'Ae', n, n / 3.0 FROM generate_series(1, 150) n",
              "INSERT INTO events SELECT gen_random_uuid(), clock_timestamp(), '{}' FROM generate_series(1, 500) n",
              "INSERT INTO shifting SELECT n, 'a' FROM generate_series(1, 200) n"});
}

Workload::Workload(std::string url, std::uint64_t seed, std::size_t writers) : url_(std::move(url)) {
  for (std::size_t i = 0; i < writers; ++i) {
    threads_.emplace_back(
        [this, s = seed * 1'000 + i, first = i == 0](std::stop_token stop) { write(std::move(stop), s, first); });
  }
}

Workload::~Workload() { stop(); }

void Workload::stop() {
  for (auto& thread : threads_) thread.request_stop();
  threads_.clear();
}

void Workload::write(std::stop_token stop, std::uint64_t seed, bool schemaToo) {
  Random random(seed);
  const QueryFn query =
      postgres::queryFn({.url = url_, .statementTimeout = std::chrono::seconds(20), .readOnly = false});
  while (!stop.stop_requested()) {
    try {
      if (schemaToo && random.chance(4)) {
        changeSchema(query, random);
      } else if (transaction(query, random)) {
        ++counts_.committed;
      } else {
        ++counts_.rolledBack;
      }
    } catch (const Error& error) {
      ++counts_.failed;
      try {
        if (error.code() != ErrorCode::connectionFailed) servers::execute(query, {"ROLLBACK"});
      } catch (const Error&) {
        // The connection went with it; the next statement makes another.
      }
      systemScheduler().waitFor(std::chrono::milliseconds(20), stop);
    }
  }
}

bool Workload::transaction(const QueryFn& query, Random& random) {
  servers::execute(query, {"BEGIN"});
  const std::size_t statements = 1 + random.index(8);
  for (std::size_t i = 0; i < statements; ++i) {
    const bool save = random.chance(15);
    if (save) servers::execute(query, {"SAVEPOINT s"});
    servers::execute(query, {random.chance(2) ? largeStatement(random) : oneStatement(random)});
    if (save) servers::execute(query, {random.chance(50) ? "ROLLBACK TO SAVEPOINT s" : "RELEASE SAVEPOINT s"});
    ++counts_.statements;
  }
  const bool commit = !random.chance(10);
  servers::execute(query, {commit ? "COMMIT" : "ROLLBACK"});
  return commit;
}

void Workload::changeSchema(const QueryFn& query, Random& random) {
  const std::string column = fmt::format("c{}", random.below(4));
  std::string sql;
  switch (random.below(5)) {
    case 0:
      sql = fmt::format("ALTER TABLE shifting ADD COLUMN IF NOT EXISTS {} int", column);
      break;
    case 1:
      sql = fmt::format("ALTER TABLE shifting ADD COLUMN IF NOT EXISTS {} int DEFAULT {}", column, random.below(100));
      break;
    case 2:
      sql = fmt::format("ALTER TABLE shifting DROP COLUMN IF EXISTS {}", column);
      break;
    case 3:
      sql = fmt::format("ALTER TABLE shifting RENAME COLUMN {} TO c{}", column, 4 + random.below(2));
      break;
    default:
      sql = fmt::format("ALTER TABLE shifting ALTER COLUMN {} TYPE {}", column, random.chance(50) ? "bigint" : "text");
  }
  servers::execute(query, {"SET lock_timeout = '2s'", sql});
  ++counts_.schemaChanges;
}

}  // namespace tidegate::chaos
