/// A shape's condition from outside: text, then for each line after it a parameter. What is taken prints as text that
/// is taken again, prints the same, and judges every row the same.
#include <string>
#include <vector>

#include "electric/detail/like_pattern.h"
#include "electric/detail/pg_text.h"
#include "electric/detail/shape_offset.h"
#include "electric/detail/table_name.h"
#include "fuzz/check.h"
#include "tidegate/electric/where.h"

namespace tidegate::fuzz {
namespace {

const TableSchema& fuzzedTable() {
  static const TableSchema table{.table = "items",
                                 .columns = {{.name = "id", .kind = ValueKind::int64, .nullable = false},
                                             {.name = "title", .kind = ValueKind::text},
                                             {.name = "price", .kind = ValueKind::decimal},
                                             {.name = "ratio", .kind = ValueKind::real},
                                             {.name = "done", .kind = ValueKind::boolean},
                                             {.name = "day", .kind = ValueKind::date},
                                             {.name = "at", .kind = ValueKind::timestamp},
                                             {.name = "clock", .kind = ValueKind::time},
                                             {.name = "raw", .kind = ValueKind::bytes},
                                             {.name = "Owner", .kind = ValueKind::uuid},
                                             {.name = "meta", .kind = ValueKind::json}},
                                 .primaryKey = {"id"}};
  return table;
}

std::vector<std::vector<Value>> fuzzedRows() {
  const std::size_t width = fuzzedTable().columns.size();
  std::vector<std::vector<Value>> rows{std::vector<Value>(width)};
  rows.push_back(
      {1, "a", Decimal{"1.50"}, 0.1, true, Date{0}, Timestamp::utc(0), Time{1}, Bytes{"x"}, Uuid{}, Json{"{}"}});
  rows.push_back({INT64_MIN, "é%_\\", Decimal{"NaN"}, -1e308, false, Date{Date::kInfinity},
                  Timestamp::utc(Timestamp::kMinusInfinity), Time{-1}, Bytes{}, Uuid{}, Json{"null"}});
  // Values that are not of their columns' kinds.
  std::vector<Value> odd(width, Value("text"));
  odd[1] = Value(7);
  rows.push_back(odd);
  return rows;
}

void condition(std::string_view text) {
  electric::WhereParams params;
  const std::size_t end = text.find('\n');
  std::string_view left = end == text.npos ? std::string_view() : text.substr(end + 1);
  for (std::uint32_t n = 1; !left.empty() && n < 10; ++n) {
    const std::size_t line = left.find('\n');
    params[n] = std::string(left.substr(0, line));
    left = line == left.npos ? std::string_view() : left.substr(line + 1);
  }
  takes(ErrorCode::invalidArgument, [&] {
    const auto where = electric::Where::parse(text.substr(0, end), fuzzedTable(), params);
    const electric::WhereLimits wide{.maxBytes = 1u << 20, .maxDepth = 10'000, .maxNodes = 100'000};
    const bool taken = takes(ErrorCode::invalidArgument, [&] {
      const auto again = electric::Where::parse(where.text(), fuzzedTable(), {}, wide);
      FUZZ_CHECK(again.text() == where.text());
      FUZZ_CHECK(again.columns() == where.columns());
      for (const auto& row : fuzzedRows()) {
        FUZZ_CHECK(again.evaluate(row) == where.evaluate(row));
        for (const auto& equality : where.equalities()) {
          FUZZ_CHECK(!where.matches(row) || row[equality.column] == equality.value);
        }
      }
    });
    FUZZ_CHECK(taken);
  });
}

void smallTexts(std::string_view text) {
  using namespace electric::detail;
  if (const auto offset = parseOffset(text)) {
    if (offset->op != kWholeTransaction) FUZZ_CHECK(parseOffset(toText(*offset)) == offset);
  }
  if (const auto parts = readName(text, 2)) FUZZ_CHECK(!parts->empty() && parts->size() <= 2);
  FUZZ_CHECK(!splitList(text).empty());
  for (const SqlType type : {SqlType::boolean, SqlType::integer, SqlType::decimal, SqlType::real, SqlType::bytes,
                             SqlType::date, SqlType::time, SqlType::timestamp, SqlType::timestamptz, SqlType::uuid}) {
    const auto value = readPgLiteral(type, text);
    if (!value) continue;
    const auto back = readPgLiteral(type, pgText(*value));
    FUZZ_CHECK(back && *back == *value);
  }
  const std::size_t space = text.find(' ');
  const std::string_view rest = space == text.npos ? std::string_view() : text.substr(space + 1);
  if (const auto pattern = likePattern(text.substr(0, space), "\\", false)) isLike(rest, *pattern, false);
}

}  // namespace
}  // namespace tidegate::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = tidegate::fuzz::textOf(data, size);
  tidegate::fuzz::condition(text);
  tidegate::fuzz::smallTexts(text);
  return 0;
}
