/// A server's binlog, event by event, as a replica is sent it: whatever the octets are, the reader takes them or says
/// that they cannot be read. And the parts that look deeper: cells of every type, JSON, geometry, statements,
/// positions.
#include <string>
#include <vector>

#include "fuzz/check.h"
#include "mysql/detail/binlog_position.h"
#include "mysql/detail/binlog_tables.h"
#include "mysql/detail/cell_decoder.h"
#include "mysql/detail/geometry_text.h"
#include "mysql/detail/gtid_set.h"
#include "mysql/detail/json_binary.h"
#include "mysql/detail/json_diff.h"
#include "mysql/detail/logged_statement.h"
#include "mysql/detail/rows_event.h"
#include "mysql/detail/transaction_payload.h"
#include "mysql/detail/xa_id.h"

namespace tidegate::fuzz {
namespace {

using namespace tidegate::mysql::detail;

/// How a table is read of which only the binlog is known: no catalogue, text is UTF-8.
std::vector<CellPlan> plansOf(const TableMap& map) {
  std::vector<CellPlan> plans;
  for (const WireColumn& column : map.columns) {
    CellPlan plan{.type = column.type, .meta = column.meta, .isUnsigned = column.isUnsigned, .labels = column.labels};
    if (isText(column.type) && column.collation != 63) {
      plan.meaning = CellMeaning::text;
      plan.charset = utf8Charset();
    } else if (column.type == WireType::string && column.meta == 16) {
      plan.meaning = CellMeaning::uuid;
    }
    plans.push_back(std::move(plan));
  }
  return plans;
}

void rows(const BinlogEvent& event, const std::vector<CellPlan>& plans) {
  std::string inflated;
  const RowsEvent read = readRows(event, inflated);
  if (read.columns != plans.size()) return;
  OctetCursor in(read.rows, "a row");
  std::vector<Value> values;
  std::vector<std::uint32_t> absent;
  while (!in.done()) {
    const std::size_t left = in.left();
    readImage(in, plans, read.present, values, absent);
    FUZZ_CHECK(values.size() == plans.size());
    if (read.partialJson) {
      std::vector<Value> after;
      std::vector<std::uint32_t> afterAbsent, unknown;
      readPartialImage(in, plans, read.presentAfter, {values, absent}, after, afterAbsent, unknown);
      FUZZ_CHECK(after.size() == plans.size());
    } else if (read.kind == RowsKind::update) {
      readImage(in, plans, read.presentAfter, values, absent);
    }
    if (in.left() == left) return;
  }
}

/// Events one after the other, without checksums, so that the fuzzer gets past their frames.
void events(std::string_view octets) {
  std::vector<CellPlan> plans;
  std::string inflated;
  while (!octets.empty()) {
    const BinlogEvent event = takeNestedEvent(octets);
    switch (event.type) {
      case EventType::formatDescription:
        readFormat(event);
        break;
      case EventType::rotate:
        readRotate(event);
        break;
      case EventType::mariaGtid:
        readMariaGtid(event);
        xaIdOf(event);
        break;
      case EventType::mysqlGtid:
        readMySqlGtid(event);
        break;
      case EventType::transactionPayload: {
        try {
          TransactionPayload payload(event.body);
          while (payload.next()) {
          }
        } catch (const Error& e) {  // packed in a way that is not known
          if (e.code() != ErrorCode::typeUnsupported) throw;
        }
        break;
      }
      case EventType::query:
      case EventType::queryCompressed: {
        const QueryEvent query = readQuery(event, inflated);
        readStatement(query.statement, query.database);
        break;
      }
      case EventType::tableMap:
        plans = plansOf(readTableMap(readTableMapHead(event), (event.flags & 1) != 0));
        break;
      default:
        if (isRows(event.type)) rows(event, plans);
    }
    std::string copy;
    copyEvent(event, copy);
    std::string_view again = copy;
    const BinlogEvent same = takeNestedEvent(again);
    FUZZ_CHECK(again.empty() && same.body == event.body && same.type == event.type);
  }
}

/// A set is read back from what it is written as.
void gtids(std::string_view octets) {
  const auto check = [](const GtidSet& set) {
    FUZZ_CHECK(gtidSetFromText(gtidSetToText(set)) == set);
    FUZZ_CHECK(gtidSetFromOctets(gtidSetToOctets(set)) == set);
    FUZZ_CHECK(set.within(set) && set.meet(set) == set);
  };
  const auto anyRefusal = [&](const auto& read) {
    try {
      check(read());
    } catch (const Error& e) {
      FUZZ_CHECK(e.code() == ErrorCode::parseError || e.code() == ErrorCode::typeUnsupported);
    }
  };
  anyRefusal([&] { return gtidSetFromText(octets); });
  anyRefusal([&] { return gtidSetFromOctets(octets); });
}

void document(std::string_view octets) {
  takes(ErrorCode::parseError, [&] {
    std::string text = R"({"a": [1, {"b": null}], "ab": "x"})";
    applyJsonDiffs(octets, text);
    const std::string once = text;
    applyJsonDiffs({}, text);
    FUZZ_CHECK(text == once);
  });
}

void position(std::string_view octets) {
  takes(ErrorCode::parseError, [&] {
    const Position read{std::string(octets)};
    FUZZ_CHECK(positionOf(placeOf(read)) == read);
    FUZZ_CHECK(positionFromText(positionToText(read)) == read);
    FUZZ_CHECK(comparePlaces(placeOf(read), placeOf(read)) == 0);
  });
  takes(ErrorCode::parseError, [&] {
    const Position read = positionFromText(octets);
    FUZZ_CHECK(positionFromText(positionToText(read)) == read);
  });
}

}  // namespace
}  // namespace tidegate::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tidegate::fuzz;
  const std::string_view octets = textOf(data, size);
  takes(tidegate::ErrorCode::parseError, [&] { readEvent(octets, {}); });
  takes(tidegate::ErrorCode::parseError, [&] { events(octets); });
  takes(tidegate::ErrorCode::parseError, [&] {
    std::string text;
    jsonFromBinary(octets, text);
  });
  takes(tidegate::ErrorCode::parseError, [&] {
    std::string text;
    geometryToText(octets, text);
  });
  gtids(octets);
  document(octets);
  readStatement(octets, "d");
  labelsOf(octets);
  position(octets);
  return 0;
}
