/// The table of docs/types.md, section "SQLite sink", against what the sink declares and takes.
#include <cmath>
#include <fstream>
#include <map>
#include <sstream>

#include "sqlite/detail/sink_columns.h"
#include "sqlite/sink_target.h"

namespace tidegate::contract {
namespace {

using sqlite::detail::Affinity;

std::vector<std::vector<std::string>> documentedRows() {
  std::ifstream page(TIDEGATE_TYPES_PAGE);
  std::vector<std::vector<std::string>> rows;
  bool inside = false;
  for (std::string line; std::getline(page, line);) {
    if (line.rfind("## ", 0) == 0) inside = line == "## SQLite sink";
    if (!inside || line.rfind("| ", 0) != 0 || line.rfind("| Kind", 0) == 0 || line.rfind("| ---", 0) == 0) continue;
    std::vector<std::string>& cells = rows.emplace_back();
    std::istringstream parts(line.substr(1));
    for (std::string cell; std::getline(parts, cell, '|');) {
      cells.push_back(cell.substr(1, cell.size() - 2));
    }
  }
  return rows;
}

ValueKind kindNamed(const std::string& name) {
  for (int i = 0; i <= static_cast<int>(ValueKind::json); ++i) {
    if (toString(static_cast<ValueKind>(i)) == name) return static_cast<ValueKind>(i);
  }
  throw std::runtime_error("no kind is called " + name);
}

TEST(SqliteSinkTypes, ThePageSaysHowColumnsAreDeclaredAndWhatFits) {
  const auto rows = documentedRows();
  ASSERT_EQ(rows.size(), 13u);
  const std::map<std::string, Affinity> affinities = {{"INTEGER", Affinity::integer},
                                                      {"NUMERIC", Affinity::numeric},
                                                      {"REAL", Affinity::real},
                                                      {"TEXT", Affinity::text},
                                                      {"none", Affinity::none}};
  for (const auto& row : rows) {
    SCOPED_TRACE(row[0]);
    const ValueKind kind = kindNamed(row[0]);
    const std::string declared(sqlite::detail::declaredType(kind));
    EXPECT_EQ(row[1], declared.empty() ? "no type" : "`" + declared + "`");
    for (const auto& [name, affinity] : affinities) {
      EXPECT_EQ(sqlite::detail::fits(kind, affinity), row[3] == "any" || row[3].find(name) != std::string::npos)
          << name;
    }
    EXPECT_TRUE(sqlite::detail::fits(kind, sqlite::detail::affinityOf(declared)));
  }
}

TEST(SqliteSinkTypes, ValuesAreStoredAsThePageSays) {
  SqliteTarget target;
  const auto sink = target.sink();
  sink->open({.pipeline = "p"});
  ChangeBatch batch;
  Uuid uuid;
  uuid.octets[15] = 0xAB;
  const std::vector<std::pair<Value, std::string>> cases = {
      {true, "integer 1"},
      {42, "integer 42"},
      {std::uint64_t{UINT64_MAX}, "text 18446744073709551615"},
      {2.5, "real 2.5"},
      {std::nan(""), "text NaN"},
      {-0.0, "blob -0.0"},
      {Decimal{"1.50"}, "text 1.50"},
      {"zoe", "text zoe"},
      {Bytes{"b"}, "blob b"},
      {Date{19'844}, "text 2024-05-01"},
      {Time{1}, "text 00:00:00.000001"},
      {Timestamp::utc(1'714'564'800'000'000), "text 2024-05-01T12:00:00.000000Z"},
      {Timestamp::local(1'714'564'800'000'000), "text 2024-05-01T12:00:00.000000"},
      {uuid, "text 00000000-0000-0000-0000-0000000000ab"},
      {Json{"1.0"}, "text 1.0"}};
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const Shape t = shapeOf("t" + std::to_string(i),
                            {column("id", ValueKind::int64, false), column("v", cases[i].first.kind())}, {"id"});
    sink->prepareTable(t);
    batch.add(ChangeOp::insert, t).after = {1, cases[i].first};
  }
  sink->apply(batch);
  sink->commit("p");
  testing::PlainDb db(target.path());
  for (std::size_t i = 0; i < cases.size(); ++i) {
    EXPECT_EQ(db.text("SELECT typeof(v) || ' ' || CAST(v AS TEXT) FROM t" + std::to_string(i)), cases[i].second);
  }
}

}  // namespace
}  // namespace tidegate::contract
