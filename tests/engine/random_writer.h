/// Random transactions against a TestDatabase.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "support/property.h"
#include "tidegate/source/test_database.h"

namespace tidegate::test {

/// Writes to tables of `peopleSchema`: inserts, updates, partial updates, new keys, erases, truncates.
class RandomWriter {
 public:
  RandomWriter(TestDatabase& db, Random& random, std::vector<std::string> tables)
      : db_(db), random_(random), tables_(std::move(tables)) {}

  void transaction(std::size_t most = 8) {
    std::map<std::string, std::set<std::int64_t>> keys;
    for (const std::string& table : tables_) {
      for (const auto& row : db_.rows(table)) keys[table].insert(row[0].as<std::int64_t>());
    }
    db_.commit([&](TestTransaction& t) {
      for (std::size_t n = 1 + random_.index(most); n > 0; --n) {
        const std::string& table = random_.pick(tables_);
        step(t, table, keys[table]);
      }
    });
  }

 private:
  std::vector<Value> row(std::int64_t id) {
    return {id, "name " + std::to_string(random_.below(1000)), random_.between(0, 99)};
  }
  std::int64_t freeKey(const std::set<std::int64_t>& keys) {
    for (;;) {
      const std::int64_t key = random_.between(0, 40 + static_cast<std::int64_t>(keys.size()) * 2);
      if (!keys.contains(key)) return key;
    }
  }
  void step(TestTransaction& t, const std::string& table, std::set<std::int64_t>& keys) {
    if (keys.empty() || random_.chance(35)) {
      const std::int64_t key = freeKey(keys);
      t.insert(table, row(key));
      keys.insert(key);
      return;
    }
    const std::int64_t key = *std::next(keys.begin(), static_cast<std::ptrdiff_t>(random_.index(keys.size())));
    const std::uint64_t what = random_.below(100);
    if (what < 45) {
      t.update(table, row(key));
    } else if (what < 65) {
      t.updateColumns(table, {key}, {{"score", random_.between(0, 99)}});
    } else if (what < 75) {
      const std::int64_t other = freeKey(keys);
      t.rekey(table, {key}, row(other));
      keys.erase(key);
      keys.insert(other);
    } else if (what < 98) {
      t.erase(table, {key});
      keys.erase(key);
    } else {
      t.truncate(table);
      keys.clear();
    }
  }

  TestDatabase& db_;
  Random& random_;
  std::vector<std::string> tables_;
};

}  // namespace tidegate::test
