#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

#include "tidegate/gateway/sync_rules.h"

namespace tidegate {
namespace {

std::string rulesPage() {
  std::ifstream in(TIDEGATE_TEST_DATA "/../../docs/sync-rules.md");
  return {std::istreambuf_iterator<char>(in), {}};
}

/// The text between the backquotes of a table's cell.
std::string codeIn(const std::string& cell) {
  const auto from = cell.find('`');
  return from == std::string::npos ? "" : cell.substr(from + 1, cell.find('`', from + 1) - from - 1);
}

/// "int64 `10`" as a value.
Value valueIn(const std::string& cell) {
  std::string kind, text = codeIn(cell);
  std::istringstream(cell) >> kind;
  if (kind == "int64") return std::int64_t{std::stoll(text)};
  if (kind == "double") return std::stod(text);
  if (kind == "decimal") return Decimal{text};
  if (kind == "bool") return text == "true";
  if (kind == "text") return text;
  Date date;
  Timestamp timestamp;
  if (kind == "date" && parseDate(text, date)) return date;
  if (kind == "timestamp" && parseTimestamp(text, timestamp)) return timestamp;
  EXPECT_EQ(kind, "null") << cell;
  return {};
}

TEST(SyncRulesPage, EveryExampleParses) {
  const std::string page = rulesPage(), fence = "```json\n";
  std::size_t examples = 0;
  for (auto at = page.find(fence); at != std::string::npos; at = page.find(fence, at + 1)) {
    const auto from = at + fence.size();
    EXPECT_NO_THROW(SyncRules::parse(page.substr(from, page.find("```", from) - from)));
    ++examples;
  }
  EXPECT_GE(examples, 2u);
}

TEST(SyncRulesPage, EveryRowOfTheTableOfVerdictsIsTrue) {
  std::istringstream page(rulesPage());
  std::size_t verdicts = 0;
  for (std::string line; std::getline(page, line);) {
    if (!line.ends_with("| yes |") && !line.ends_with("| no |")) continue;
    SCOPED_TRACE(line);
    std::istringstream cells(line.substr(1));
    std::string value, op, literal;
    std::getline(std::getline(std::getline(cells, value, '|'), op, '|'), literal, '|');
    const auto rules =
        SyncRules::parse(R"({"version":1,"buckets":[{"name":"b","tables":[],"filters":[{"column":"c","op":")" +
                         codeIn(op) + R"(","value":)" + codeIn(literal) + "}]}]}");
    const Value cell = valueIn(value);
    EXPECT_EQ(rules.compile({}).matches("t", [&](std::string_view) { return &cell; }), line.ends_with("| yes |"));
    ++verdicts;
  }
  EXPECT_GE(verdicts, 15u);
}

}  // namespace
}  // namespace tidegate
