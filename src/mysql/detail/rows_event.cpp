#include "mysql/detail/rows_event.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "mysql/detail/json_diff.h"

namespace tidegate::mysql::detail {
namespace {

bool isCompressed(EventType type) {
  return type >= EventType::writeRowsCompressedV1 && type <= EventType::deleteRowsCompressed;
}

bool hasExtraData(EventType type) {
  return type == EventType::writeRows || type == EventType::updateRows || type == EventType::deleteRows ||
         type == EventType::partialUpdateRows || type >= EventType::writeRowsCompressed;
}

RowsKind kindOf(EventType type) {
  switch (type) {
    case EventType::writeRowsV1:
    case EventType::writeRows:
    case EventType::writeRowsCompressedV1:
    case EventType::writeRowsCompressed:
      return RowsKind::write;
    case EventType::updateRowsV1:
    case EventType::updateRows:
    case EventType::partialUpdateRows:
    case EventType::updateRowsCompressedV1:
    case EventType::updateRowsCompressed:
      return RowsKind::update;
    default:
      return RowsKind::erase;
  }
}

bool bitAt(std::string_view bits, std::size_t i) {
  return (static_cast<std::uint8_t>(bits[i / 8]) & (1U << (i % 8))) != 0;
}

std::size_t countBits(std::string_view bits, std::size_t columns) {
  std::size_t count = 0;
  for (std::size_t at = 0; at < columns / 8; ++at) {
    count += static_cast<std::size_t>(std::popcount(static_cast<std::uint8_t>(bits[at])));
  }
  for (std::size_t i = columns / 8 * 8; i < columns; ++i) count += bitAt(bits, i) ? 1 : 0;
  return count;
}

/// Whether an image has all columns.
bool hasAll(std::string_view present, std::size_t columns) {
  for (std::size_t at = 0; at < columns / 8; ++at) {
    if (static_cast<std::uint8_t>(present[at]) != 0xFF) return false;
  }
  const unsigned mask = (1U << (columns % 8)) - 1;
  return mask == 0 || (static_cast<std::uint8_t>(present[columns / 8]) & mask) == mask;
}

/// The columns of an image that has them all.
void readWhole(OctetCursor& in, const std::vector<CellPlan>& plans, std::string_view nulls,
               std::vector<Value>& values) {
  for (std::size_t i = 0; i < plans.size(); ++i) {
    if (bitAt(nulls, i))
      values[i].variant() = Null{};
    else
      readCell(in, plans[i], values[i]);
  }
}

}  // namespace

bool isRows(EventType type) noexcept {
  return (type >= EventType::writeRowsV1 && type <= EventType::deleteRowsV1) ||
         (type >= EventType::writeRows && type <= EventType::deleteRows) || type == EventType::partialUpdateRows ||
         isCompressed(type);
}

std::uint64_t tableIdOf(const BinlogEvent& event) { return OctetCursor(event.body, "a row event").little(6); }

RowsEvent readRows(const BinlogEvent& event, std::string& inflated) {
  OctetCursor in(event.body, "a row event");
  RowsEvent rows;
  rows.kind = kindOf(event.type);
  rows.partialJson = event.type == EventType::partialUpdateRows;
  rows.table = in.little(6);
  in.take(2);  // flags
  if (hasExtraData(event.type)) {
    const std::size_t size = in.length(2);  // with these two octets
    if (size < 2) refuseOctets("a row event's extra data has no length");
    in.take(size - 2);
  }
  const std::uint64_t columns = in.packed();
  if (columns > in.left() * 8) refuseOctets(fmt::format("a row event has {} columns", columns));
  rows.columns = static_cast<std::size_t>(columns);
  rows.present = in.take((rows.columns + 7) / 8);
  rows.whole = hasAll(rows.present, rows.columns);
  if (rows.kind == RowsKind::update) rows.presentAfter = in.take((rows.columns + 7) / 8);
  rows.rows = in.rest();
  if (!isCompressed(event.type)) return rows;
  inflateEvent(rows.rows, inflated);
  rows.rows = inflated;
  return rows;
}

void readImage(OctetCursor& in, const std::vector<CellPlan>& plans, std::string_view present,
               std::vector<Value>& values, std::vector<std::uint32_t>& absent) {
  const std::size_t columns = plans.size();
  if (present.size() != (columns + 7) / 8) refuseOctets("a row has another number of columns than its table");
  values.resize(columns);
  absent.clear();
  if (hasAll(present, columns)) return readWhole(in, plans, in.take(present.size()), values);
  const std::string_view nulls = in.take((countBits(present, columns) + 7) / 8);
  std::size_t shown = 0;
  for (std::size_t i = 0; i < columns; ++i) {
    if (!bitAt(present, i)) {
      values[i].variant() = Null{};
      absent.push_back(static_cast<std::uint32_t>(i));
    } else if (bitAt(nulls, shown++)) {
      values[i].variant() = Null{};
    } else {
      readCell(in, plans[i], values[i]);
    }
  }
}

void readPartialImage(OctetCursor& in, const std::vector<CellPlan>& plans, std::string_view present,
                      const ImageBefore& before, std::vector<Value>& values, std::vector<std::uint32_t>& absent,
                      std::vector<std::uint32_t>& unknown) {
  constexpr std::uint64_t kPartialJson = 1;
  const auto isJson = [](const CellPlan& plan) { return plan.type == WireType::json; };
  std::string_view partial;
  if ((in.packed() & kPartialJson) != 0) {
    const auto documents = static_cast<std::size_t>(std::count_if(plans.begin(), plans.end(), isJson));
    partial = in.take((documents + 7) / 8);
  }
  const std::size_t columns = plans.size();
  if (present.size() != (columns + 7) / 8) refuseOctets("a row has another number of columns than its table");
  values.resize(columns);
  absent.clear();
  unknown.clear();
  const std::string_view nulls = in.take((countBits(present, columns) + 7) / 8);
  std::size_t shown = 0, document = 0;
  for (std::size_t i = 0; i < columns; ++i) {
    // One for each JSON column of the table, also of those that are not in the image.
    const bool inPart = isJson(plans[i]) && !partial.empty() && bitAt(partial, document);
    if (isJson(plans[i])) ++document;
    if (!bitAt(present, i)) {
      values[i].variant() = Null{};
      absent.push_back(static_cast<std::uint32_t>(i));
    } else if (bitAt(nulls, shown++)) {
      values[i].variant() = Null{};
    } else if (!inPart) {
      readCell(in, plans[i], values[i]);
    } else {
      const std::string_view diffs = in.take(in.length(plans[i].meta));
      const auto index = static_cast<std::uint32_t>(i);
      if (std::binary_search(before.absent.begin(), before.absent.end(), index)) {
        values[i].variant() = Null{};
        unknown.push_back(index);
        continue;
      }
      const Json* const old = before.values.at(i).getIf<Json>();
      if (old == nullptr) refuseOctets("a JSON document is updated in part that was not there");
      Json now = *old;
      applyJsonDiffs(diffs, now.text);
      values[i].variant() = std::move(now);
    }
  }
}

}  // namespace tidegate::mysql::detail
