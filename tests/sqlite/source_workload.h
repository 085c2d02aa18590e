/// Random statements as applications make them, all conflict clauses, key changes, savepoints and rollbacks among them.
#pragma once

#include <sqlite3.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "support/property.h"

namespace tidegate::testing {

inline const std::vector<std::string>& workloadTables() {
  static const std::vector<std::string> tables{"orders", "pairs", "words", "loose"};
  return tables;
}

inline const char* workloadSchema() {
  return "CREATE TABLE IF NOT EXISTS orders(id INTEGER PRIMARY KEY, code TEXT UNIQUE, a INT, b INT, note, twice AS (a "
         "* 2),"
         " UNIQUE(a, b));"
         "CREATE TABLE IF NOT EXISTS pairs(region TEXT, n INT, v, PRIMARY KEY(region, n)) WITHOUT ROWID;"
         "CREATE TABLE IF NOT EXISTS words(word TEXT COLLATE NOCASE PRIMARY KEY NOT NULL, v UNIQUE);"
         "CREATE TABLE IF NOT EXISTS loose(k NOT NULL UNIQUE, v)";
}

class SourceWorkload {
 public:
  SourceWorkload(sqlite3* database, std::uint64_t seed) : database_(database), random_(seed) {}

  /// @return whether it committed.
  bool transaction(const std::string& first = {}) {
    run("BEGIN IMMEDIATE");
    if (!first.empty()) run(first);
    for (std::size_t n = 1 + random_.index(6); n > 0; --n) {
      const bool save = random_.chance(20);
      if (save) run("SAVEPOINT s");
      run(statement());
      if (save && random_.chance(50)) run("ROLLBACK TO s");
      if (save) run("RELEASE s");
    }
    const bool commits = !random_.chance(15);
    run(commits ? "COMMIT" : "ROLLBACK");
    return commits && sqlite3_get_autocommit(database_) != 0;
  }
  test::Random& random() { return random_; }

 private:
  /// Constraints are broken now and then; OR ROLLBACK ends the transaction.
  void run(const std::string& sql) {
    const int code = sqlite3_exec(database_, sql.c_str(), nullptr, nullptr, nullptr);
    if (code == SQLITE_OK || code == SQLITE_CONSTRAINT) return;
    const bool ended = sqlite3_get_autocommit(database_) != 0;
    if (ended && (sql == "COMMIT" || sql == "ROLLBACK" || sql.find(" s") != sql.npos)) return;
    throw std::runtime_error(sql + ": " + sqlite3_errmsg(database_));
  }
  std::string conflict() {
    static const char* const kClauses[] = {"",           "",         " OR REPLACE", " OR REPLACE",
                                           " OR IGNORE", " OR FAIL", " OR ABORT",   " OR ROLLBACK"};
    return random_.pick(kClauses);
  }
  std::string number(std::uint64_t below) { return std::to_string(random_.below(below)); }
  std::string value() {
    static const char* const kValues[] = {"NULL",  "1",    "1.0",   "'1'", "x'31'", "9e999", "-9223372036854775808",
                                          "'zoë'", "0.1",  "x''",   "''",  "'A'",   "'a'",   "9223372036854775807",
                                          "1e18",  "-0.5", "'é\"'", "2",   "3",     "'b'",   "CAST(x'ff00' AS TEXT)"};
    return random_.pick(kValues);
  }
  std::string word() {
    static const char* const kWords[] = {"'a'", "'A'", "'b'", "'B'", "'c'", "'C'", "'d'"};
    return random_.pick(kWords);
  }
  std::string statement() {
    switch (random_.below(4)) {
      case 0:
        return orders();
      case 1:
        return pairs();
      case 2:
        return words();
      default:
        return loose();
    }
  }
  std::string orders() {
    const std::string id = random_.chance(30) ? "NULL" : number(12), code = "'c" + number(8) + "'";
    const std::string row = id + ", " + code + ", " + number(4) + ", " + number(3) + ", " + value();
    const std::string into = "INTO orders(id, code, a, b, note) VALUES (" + row + ")";
    switch (random_.below(8)) {
      case 0:
        return "INSERT " + into + " ON CONFLICT DO NOTHING";
      case 1:
        return "INSERT " + into + " ON CONFLICT(id) DO UPDATE SET note = excluded.note, b = b + 1";
      case 2:
        return "UPDATE" + conflict() + " orders SET id = id + " + number(4) + " WHERE id > " + number(12);
      case 3:
        return "UPDATE" + conflict() + " orders SET a = " + number(4) + ", code = " + code +
               " WHERE id = " + number(12);
      case 4:
        return "DELETE FROM orders WHERE " + std::string(random_.chance(5) ? "1" : "id % 5 = " + number(5));
      case 5:
        return "INSERT" + conflict() + " INTO orders(code, a, b) SELECT code || 'x', b, a FROM orders WHERE id < " +
               number(12);
      default:
        return "INSERT" + conflict() + " " + into;
    }
  }
  std::string pairs() {
    const std::string row = word() + ", " + number(5) + ", " + value();
    switch (random_.below(4)) {
      case 0:
        return "UPDATE" + conflict() + " pairs SET n = n + 1, v = " + value() + " WHERE region = " + word();
      case 1:
        return "DELETE FROM pairs WHERE n = " + number(5);
      default:
        return "INSERT" + conflict() + " INTO pairs VALUES (" + row + ")";
    }
  }
  std::string words() {
    switch (random_.below(4)) {
      case 0:
        return "UPDATE" + conflict() + " words SET word = upper(word), v = " + value();
      case 1:
        return "DELETE FROM words WHERE word = " + word();
      default:
        return "INSERT" + conflict() + " INTO words VALUES (" + word() + ", " + value() + ")";
    }
  }
  std::string loose() {
    switch (random_.below(4)) {
      case 0:
        return "UPDATE" + conflict() + " loose SET k = " + value() + " WHERE typeof(k) = typeof(" + value() + ")";
      case 1:
        return "DELETE FROM loose WHERE k = " + value();
      default:
        return "INSERT" + conflict() + " INTO loose VALUES (" + value() + ", " + value() + ")";
    }
  }

  sqlite3* database_;
  test::Random random_;
};

}  // namespace tidegate::testing
