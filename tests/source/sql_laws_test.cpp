// Law 5.5 over many seeds: whatever columns are called and whatever values hold, polls bring every row exactly and the
// SQL is made of the same words as for harmless names. The database is a real one; SQLite takes all three dialects'
// SQL.
#include <algorithm>
#include <set>

#include "source/detail/cursor_sql.h"
#include "source/source_rig.h"
#include "support/property.h"

namespace tidegate::test {
namespace {

using detail::CursorSql;

constexpr Dialect kDialects[] = {Dialect::sqlite, Dialect::postgres, Dialect::mysql};

char quoteOf(Dialect dialect) { return dialect == Dialect::mysql ? '`' : '"'; }

/// A text that means something to SQL, or to whoever forgets to quote it.
std::string hostileText(Random& random, std::size_t mostParts) {
  static const std::vector<std::string> kParts{"'",
                                               "''",
                                               "\"",
                                               "\"\"",
                                               "`",
                                               "``",
                                               "\\",
                                               "\\'",
                                               ";",
                                               "; ",
                                               "--",
                                               "-- ",
                                               "/*",
                                               "*/",
                                               "#",
                                               " ",
                                               "\n",
                                               "\t",
                                               "?",
                                               "?1",
                                               "$1",
                                               "$2",
                                               ":a",
                                               "@b",
                                               "$$",
                                               "$a$",
                                               "]",
                                               "[",
                                               "(",
                                               ")",
                                               ",",
                                               "%",
                                               "_",
                                               "{}",
                                               "a.b",
                                               "NULL",
                                               "OR 1=1",
                                               "'; DROP TABLE victim; --",
                                               "\"; DROP TABLE victim; --",
                                               "`; DROP TABLE victim; --",
                                               "select",
                                               "é",
                                               "漢字",
                                               "\xF0\x9F\x8C\x8A",
                                               "\xE2\x80\x99",
                                               "x",
                                               "7"};
  std::string text;
  for (auto parts = static_cast<std::size_t>(random.between(1, static_cast<std::int64_t>(mostParts))); parts > 0;
       --parts) {
    text += random.pick(kParts);
  }
  return text;
}

/// Hostile names, all different even to a database that ignores case.
std::vector<std::string> hostileNames(Random& random, std::size_t count) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < count; ++i) names.push_back(hostileText(random, 6) + std::to_string(i) + "c");
  return names;
}

/// Quotes for the test's own statements.
std::string quoted(const std::string& name, char quote) {
  std::string text(1, quote);
  for (const char c : name) text.append(c == quote ? 2 : 1, c);
  return text + quote;
}

/// Reads one quoted name that begins at `at`, and moves past it; nullopt if it does not end.
std::optional<std::string> unquote(const std::string& sql, char quote, std::size_t& at) {
  std::string name;
  if (at >= sql.size() || sql[at] != quote) return std::nullopt;
  for (++at; at < sql.size(); ++at) {
    if (sql[at] == quote) {
      ++at;
      if (at >= sql.size() || sql[at] != quote) return name;
    }
    name += sql[at];
  }
  return std::nullopt;
}

/// The SQL with each quoted name cut down to "N": what is left is what the database takes for words and signs.
std::string skeleton(const std::string& sql, char quote) {
  std::string words;
  for (std::size_t at = 0; at < sql.size();) {
    if (sql[at] != quote) {
      words += sql[at++];
      continue;
    }
    if (!unquote(sql, quote, at)) return "a name that does not end: " + sql;
    words += 'N';
  }
  return words;
}

/// A table of hostile names: two key columns, a cursor, a number of its own for each row, and a text.
class HostileTable {
 public:
  enum Column : std::size_t { kKeyA, kKeyB, kCursor, kNumber, kText };

  HostileTable(Random& random, bool textCursor)
      : names(hostileNames(random, 5)), table(hostileText(random, 4) + "t"), random_(random), textCursor_(textCursor) {
    source.run("CREATE TABLE victim (x)");
    source.run("INSERT INTO victim VALUES ('alive')");
    std::string columns;
    for (const std::string& n : names) columns += (columns.empty() ? "" : ", ") + quoted(n, '"');
    source.run("CREATE TABLE " + quoted(table, '"') + " (" + columns + ", PRIMARY KEY (" + quoted(names[kKeyA], '"') +
               ", " + quoted(names[kKeyB], '"') + "))");
  }

  void write() {
    for (std::int64_t writes = random_.between(1, 8); writes > 0; --writes) {
      if (!rows.empty() && random_.chance(30)) {
        auto at = std::next(rows.begin(), static_cast<std::ptrdiff_t>(random_.index(rows.size())));
        at->second[kCursor] = cursor();
        at->second[kText] = text();
        put(at->second);
        continue;
      }
      const std::string key = hostileText(random_, 3);
      if (!keys_.insert(key).second) continue;
      const std::int64_t number = ++numbers_;
      rows[number] = {key, hostileText(random_, 2), cursor(), number, text()};
      put(rows[number]);
    }
  }
  std::string query(Dialect dialect) const { return "SELECT * FROM " + quoted(table, quoteOf(dialect)); }

  const std::vector<std::string> names;
  const std::string table;
  SqlSource source;
  std::map<std::int64_t, std::vector<Value>> rows;  ///< the model, by the row's number

 private:
  std::string text() {
    std::string t = hostileText(random_, 4);
    if (random_.chance(3)) t.append(20'000, '\'');
    return t;
  }
  Value cursor() {
    ++cursors_;
    if (textCursor_) return hostileText(random_, 2);
    return random_.chance(10) ? Value() : Value(cursors_ / 3);  // ties, and rows without
  }
  void put(const std::vector<Value>& row) const {
    source.run("INSERT OR REPLACE INTO " + quoted(table, '"') + " VALUES (?, ?, ?, ?, ?)", row);
  }

  Random& random_;
  const bool textCursor_;
  std::set<std::string> keys_;
  std::int64_t numbers_ = 0, cursors_ = 0;
};

void expectUntouched(const HostileTable& table) {
  ResultSet found = table.source.query({.sql = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"});
  std::set<std::string> tables;
  std::vector<Value> row;
  while (found.next(row)) tables.insert(row.at(0).as<std::string>());
  EXPECT_EQ(tables, (std::set<std::string>{"victim", table.table}));
  ResultSet victim = table.source.query({.sql = "SELECT x FROM victim"});
  ASSERT_TRUE(victim.next(row));
  EXPECT_TRUE(row.at(0) == Value("alive"));
  EXPECT_FALSE(victim.next(row));
}

void expectRows(const HostileTable& table, const std::map<std::string, MapGateway::Row>& gateway, bool oneKey) {
  EXPECT_EQ(gateway.size(), table.rows.size());
  std::set<std::int64_t> seen;
  for (const auto& [id, row] : gateway) {
    const auto number = row.at(table.names[HostileTable::kNumber]).as<std::int64_t>();
    EXPECT_TRUE(seen.insert(number).second) << "row " << number << " came under two ids";
    const std::vector<Value>& wanted = table.rows.at(number);
    if (oneKey) {
      EXPECT_EQ(id, wanted[HostileTable::kKeyA].as<std::string>());
    }
    for (std::size_t c = 0; c < wanted.size(); ++c) {
      const auto at = row.find(table.names[c]);
      const bool key = c == HostileTable::kKeyA || (c == HostileTable::kKeyB && !oneKey);
      if (key && at == row.end()) continue;  // it is in the row id
      ASSERT_NE(at, row.end()) << "no column " << table.names[c];
      EXPECT_TRUE(at->second == wanted[c]) << table.names[c] << ": " << describe(at->second);
    }
  }
}

void pollHostileTable(std::uint64_t seed, bool byCursor) {
  Random random(seed);
  HostileTable table(random, random.chance(50));
  const Dialect dialect = random.pick(kDialects);
  const bool oneKey = random.chance(50);
  IngestTableConfig config{
      .table = "t", .query = table.query(dialect), .rowIdColumns = {table.names[HostileTable::kKeyA]}};
  if (!oneKey) config.rowIdColumns.push_back(table.names[HostileTable::kKeyB]);
  if (byCursor) {
    config.strategy = CursorStrategy{.cursorColumn = table.names[HostileTable::kCursor],
                                     .pageRows = static_cast<std::size_t>(random.between(1, 5))};
  }
  PollRig rig(QueryFn(dialect, [&](const Query& q) { return table.source.query(q); }), config);
  for (int poll = 0; poll < 3; ++poll) {
    table.write();
    rig.pollWell();
    expectRows(table, rig.rows(), oneKey);
  }
  expectUntouched(table);
}

TEST(SqlLaws, ACursorBringsEveryRowOfHostileNamesAndValuesExactly) {
  forEachSeed(1'000, [](std::uint64_t seed) { pollHostileTable(seed, true); });
}

TEST(SqlLaws, ADiffBringsEveryRowOfHostileNamesAndValuesExactly) {
  forEachSeed(1'000, [](std::uint64_t seed) { pollHostileTable(seed, false); });
}

TEST(SqlLaws, AQuotedNameIsOneNameAndReadsBackAsItWas) {
  forEachSeed(2'000, [](std::uint64_t seed) {
    Random random(seed);
    const std::string name = hostileText(random, 9);
    for (const Dialect dialect : kDialects) {
      const std::string sql = quoteIdentifier(dialect, name);
      std::size_t at = 0;
      EXPECT_EQ(unquote(sql, quoteOf(dialect), at), name);
      EXPECT_EQ(at, sql.size()) << "something follows the name in " << sql;
    }
  });
}

/// Every statement that a cursor poll can ask.
std::vector<Query> statements(Dialect dialect, const std::vector<std::string>& names,
                              const std::vector<Value>& values) {
  const CursorStrategy strategy{.cursorColumn = names[2]};
  const CursorSql sql(dialect,
                      {.table = "t", .query = "SELECT 1", .rowIdColumns = {names[0], names[1]}, .strategy = strategy},
                      strategy);
  return {sql.first(nullptr, 10),
          sql.first(&values[2], 10),
          sql.next({values[2], {values[0], values[1]}}, 10),
          sql.firstNulls(10),
          sql.countNulls(),
          sql.nextNulls({values[0], values[1]}, 10),
          sql.nthNewest(3, nullptr),
          sql.nthNewest(3, &values[2])};
}

TEST(SqlLaws, StatementsAreTheSameWordsWhateverNamesAndValuesAre) {
  forEachSeed(1'000, [](std::uint64_t seed) {
    Random random(seed);
    const std::vector<std::string> names = hostileNames(random, 3);
    std::vector<Value> values;
    for (int i = 0; i < 3; ++i) values.emplace_back("zq" + hostileText(random, 4) + "qz");
    for (const Dialect dialect : kDialects) {
      const auto hostile = statements(dialect, names, values);
      const auto plain = statements(dialect, {"a", "b", "c"}, {1, 2, 3});
      for (std::size_t i = 0; i < plain.size(); ++i) {
        EXPECT_EQ(skeleton(hostile[i].sql, quoteOf(dialect)), skeleton(plain[i].sql, quoteOf(dialect)));
        ASSERT_EQ(hostile[i].params.size(), plain[i].params.size());
        for (std::size_t p = 0; p < plain[i].params.size(); ++p) {
          const auto which = static_cast<std::size_t>(plain[i].params[p].as<std::int64_t>() - 1);
          EXPECT_TRUE(hostile[i].params[p] == values[which]);
        }
        for (const Value& v : values) EXPECT_EQ(hostile[i].sql.find(v.as<std::string>()), std::string::npos);
      }
    }
  });
}

}  // namespace
}  // namespace tidegate::test
