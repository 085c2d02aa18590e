#include "chaos/mysql_source/shop.h"

#include <fmt/format.h>

#include "servers/support.h"
#include "tidegate/core/clock.h"
#include "tidegate/mysql/query_fn.h"

namespace tidegate::chaos {

namespace {

using test::Random;

std::string letters(Random& random, std::size_t most) {
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
          "INSERT INTO accounts (id, branch, balance, note) VALUES ({}, {}, {}.{:04}, '{}') ON DUPLICATE KEY UPDATE "
          "balance = balance + 1",
          id, random.below(50), random.between(-100'000, 100'000), random.below(10'000), letters(random, 30));
    case 1:
      return fmt::format("DELETE FROM accounts WHERE id = {}", id);
    case 2:
      return fmt::format("UPDATE IGNORE accounts SET id = id + 10000 WHERE id = {}", id);
    default:
      return fmt::format("UPDATE accounts SET branch = {}, note = {} WHERE id BETWEEN {} AND {}", random.below(50),
                         random.chance(20) ? "NULL" : "'" + letters(random, 60) + "'", id, id + random.below(6));
  }
}

std::string documents(Random& random) {
  const auto id = random.below(300);
  switch (random.below(4)) {
    case 0:
      return fmt::format(
          "INSERT INTO documents VALUES ({}, '{}', REPEAT(SHA2(RAND(), 256), {}), 1) ON DUPLICATE KEY UPDATE version = "
          "version + 1",
          id, letters(random, 20), 100 + random.below(400));
    case 1:
      return fmt::format("DELETE FROM documents WHERE id = {}", id);
    default:  // leaves the body alone
      return fmt::format("UPDATE documents SET version = version + 1, title = '{}' WHERE id = {}", letters(random, 20),
                         id);
  }
}

std::string pairs(Random& random) {
  const std::string region = std::string(1, static_cast<char>('A' + random.index(4))) + (random.chance(30) ? "é" : "e");
  const auto code = random.below(200);
  switch (random.below(4)) {
    case 0:
      return fmt::format("INSERT IGNORE INTO pairs VALUES ('{}', {}, RAND())", region, code);
    case 1:
      return fmt::format("DELETE FROM pairs WHERE region = '{}' AND code = {}", region, code);
    case 2:
      return fmt::format("UPDATE IGNORE pairs SET code = code + 1000 WHERE region = '{}' AND code BETWEEN {} AND {}",
                         region, code, code + 3);
    default:
      return fmt::format("UPDATE pairs SET value = value + 1 WHERE region = '{}'", region);
  }
}

std::string shifting(Random& random) {
  const auto id = random.below(500);
  if (random.chance(20)) return fmt::format("DELETE FROM shifting WHERE id = {}", id);
  return fmt::format("INSERT INTO shifting (id, a) VALUES ({}, '{}') ON DUPLICATE KEY UPDATE a = VALUES(a)", id,
                     letters(random, 12));
}

std::string smallStatement(Random& random) {
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
    default:
      return shifting(random);
  }
}

std::string largeStatement(Random& random) {
  if (random.chance(50)) {
    return fmt::format(
        "INSERT INTO accounts (id, branch, balance, note) SELECT seq + 20000, seq % 50, seq / 7, 'large' FROM {} "
        "ON DUPLICATE KEY UPDATE balance = accounts.balance + 1",
        servers::numbersTo(2'000 + random.below(8'000)));
  }
  return random.chance(50) ? "UPDATE accounts SET balance = balance + 0.0001" : "DELETE FROM accounts WHERE id > 20000";
}

}  // namespace

const std::vector<ShopTable>& shopTables() {
  static const std::vector<ShopTable> tables{{"accounts", "id, branch, note"},
                                             {"documents", "id, title, body, version"},
                                             {"pairs", "region, code"},
                                             {"shifting", "id, a"}};
  return tables;
}

void createShop(const QueryFn& admin) {
  servers::execute(
      admin,
      {"CREATE DATABASE shop CHARACTER SET utf8mb4", "USE shop",
       "CREATE TABLE accounts (id BIGINT PRIMARY KEY, branch INT NOT NULL, balance DECIMAL(20,4), note TEXT, updated "
       "TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6))",
       "CREATE TABLE documents (id BIGINT PRIMARY KEY, title VARCHAR(80), body MEDIUMTEXT, version INT NOT NULL)",
       "CREATE TABLE pairs (region VARCHAR(20) COLLATE utf8mb4_bin, code INT, value DOUBLE, PRIMARY KEY (region, "
       "code))",
       "CREATE TABLE shifting (id BIGINT PRIMARY KEY, a VARCHAR(60))",
       "INSERT INTO accounts (id, branch, balance, note) SELECT seq, seq % 50, seq / 7.0, CONCAT('account ', seq) "
       "FROM " +
           servers::numbersTo(3'000),
       "INSERT INTO documents SELECT seq, 'title', REPEAT(SHA2(seq, 256), 125), 1 FROM " + servers::numbersTo(150),
       "INSERT INTO pairs SELECT 'Ae', seq, seq / 3.0 FROM " + servers::numbersTo(150),
       "INSERT INTO shifting SELECT seq, 'a' FROM " + servers::numbersTo(200)});
}

ShopWriters::ShopWriters(std::string url, std::uint64_t seed, std::size_t writers) : url_(std::move(url)) {
  for (std::size_t i = 0; i < writers; ++i) {
    threads_.emplace_back(
        [this, s = seed * 1'000 + i, first = i == 0](std::stop_token stop) { write(std::move(stop), s, first); });
  }
}

void ShopWriters::stop() {
  for (auto& thread : threads_) thread.request_stop();
  threads_.clear();
}

void ShopWriters::write(std::stop_token stop, std::uint64_t seed, bool schemaToo) {
  Random random(seed);
  const QueryFn query = mysql::queryFn(
      {.url = url_,
       .statementTimeout = std::chrono::seconds(20),
       .readOnly = false,
       .sessionSql = {"USE shop", "SET innodb_lock_wait_timeout = 2, lock_wait_timeout = 2",
                      random.chance(30) ? "SET binlog_row_image = MINIMAL" : "SET binlog_row_image = FULL"}});
  for (std::uint64_t n = 0; !stop.stop_requested(); ++n) {
    try {
      if (schemaToo && random.chance(4)) {
        changeSchema(query, random);
      } else if (random.chance(5)) {
        xaTransaction(query, random, fmt::format("x{}-{}", seed, n));
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

bool ShopWriters::transaction(const QueryFn& query, Random& random) {
  servers::execute(query, {"BEGIN"});
  for (std::size_t statements = 1 + random.index(8); statements > 0; --statements) {
    const bool save = random.chance(15);
    if (save) servers::execute(query, {"SAVEPOINT s"});
    servers::execute(query, {random.chance(2) ? largeStatement(random) : smallStatement(random)});
    if (save) servers::execute(query, {random.chance(50) ? "ROLLBACK TO SAVEPOINT s" : "RELEASE SAVEPOINT s"});
  }
  const bool commit = !random.chance(10);
  servers::execute(query, {commit ? "COMMIT" : "ROLLBACK"});
  return commit;
}

/// Prepared, and decided a moment later: where the server is killed in between, whoever mends the round decides.
void ShopWriters::xaTransaction(const QueryFn& query, Random& random, const std::string& name) {
  const std::string id = "'" + name + "'";
  servers::execute(query, {"XA START " + id});
  try {
    for (std::size_t statements = 1 + random.index(3); statements > 0; --statements) {
      servers::execute(query, {smallStatement(random)});
    }
  } catch (const Error&) {
    servers::execute(query, {"XA END " + id, "XA ROLLBACK " + id});
    throw;
  }
  servers::execute(query, {"XA END " + id, "XA PREPARE " + id});
  systemScheduler().waitFor(std::chrono::milliseconds(random.below(30)), {});
  servers::execute(query, {(random.chance(70) ? "XA COMMIT " : "XA ROLLBACK ") + id});
  ++counts_.xa;
}

void ShopWriters::changeSchema(const QueryFn& query, Random& random) {
  const std::string column = fmt::format("c{}", random.below(4));
  // MySQL knows no IF here: one that does not fit is a statement that fails.
  const bool knowsIf = servers::isMariaDb();
  std::string sql;
  switch (random.below(7)) {
    case 0:
      sql = fmt::format("ALTER TABLE shifting ADD COLUMN {} {} INT", knowsIf ? "IF NOT EXISTS" : "", column);
      break;
    case 1:
      sql = fmt::format("ALTER TABLE shifting ADD COLUMN {} {} INT DEFAULT {}", knowsIf ? "IF NOT EXISTS" : "", column,
                        random.below(100));
      break;
    case 2:
      sql = fmt::format("ALTER TABLE shifting DROP COLUMN {} {}", knowsIf ? "IF EXISTS" : "", column);
      break;
    case 3:
      sql = fmt::format("ALTER TABLE shifting RENAME COLUMN {} TO c{}", column, 4 + random.below(2));
      break;
    case 4:
      sql = "TRUNCATE TABLE shifting";
      break;
    case 5:
      sql = "FLUSH BINARY LOGS";
      break;
    default:
      sql = fmt::format("ALTER TABLE shifting MODIFY COLUMN {} {}", column, random.chance(50) ? "BIGINT" : "TEXT");
  }
  servers::execute(query, {sql});
  ++counts_.schemaChanges;
}

}  // namespace tidegate::chaos
