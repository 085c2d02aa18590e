#include "source/detail/row_shape.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "source/detail/hash.h"
#include "tidegate/core/error.h"
#include "tidegate/core/json.h"

namespace tidegate::detail {
namespace {

/// Digits put together in a register and stored as one word: the row id is copied on at once, and a copy of octets
/// that were stored one by one would wait for every store before them.
void appendInteger(std::int64_t v, std::string& out) {
  if (v < 0 || v >= 100'000'000) {
    char digits[24];
    out.append(digits, std::to_chars(digits, digits + sizeof digits, v).ptr);
    return;
  }
  auto rest = static_cast<std::uint32_t>(v);
  std::uint64_t word = 0;
  std::size_t count = 0;
  do {
    word = word << 8 | ('0' + rest % 10);
    rest /= 10;
    ++count;
  } while (rest != 0);
  const std::size_t before = out.size();
  out.resize(before + sizeof word);
  std::memcpy(out.data() + before, &word, sizeof word);
  out.resize(before + count);
}

void appendPlain(const Value& v, std::string& out) {
  if (const auto* text = v.getIf<std::string>()) {
    out += *text;
  } else if (const auto* number = v.getIf<std::int64_t>()) {
    appendInteger(*number, out);
  } else if (const auto* decimal = v.getIf<Decimal>()) {
    out += decimal->text;
  } else if (const auto* json = v.getIf<Json>()) {
    out += json->text;
  } else {  // dates, uuids, octets: their wire form is a JSON string that needs no escape
    std::string wire = toJson(v);
    if (wire.size() >= 2 && wire.front() == '"') wire = wire.substr(1, wire.size() - 2);
    out += wire;
  }
}

[[noreturn]] void refuseKey(const std::vector<std::string>& names, const std::vector<const Value*>& key, std::size_t at,
                            std::string_view what) {
  std::string others;
  for (std::size_t i = 0; i < key.size(); ++i) {
    if (i != at) others += fmt::format("{}{} = {}", others.empty() ? ", where " : ", ", names[i], describe(*key[i]));
  }
  throw Error(ErrorCode::rowIdInvalid, Retry::afterOperator,
              fmt::format("row id column \"{}\" is {}{}: every row needs an id of its own; leave such rows out in the "
                          "query or name other row id columns",
                          names[at], what, others));
}

}  // namespace

void appendRowId(const std::vector<const Value*>& key, const std::vector<std::string>& names, std::string& out) {
  for (std::size_t i = 0; i < key.size(); ++i) {
    if (key[i]->isNull()) refuseKey(names, key, i, "null");
  }
  if (key.size() == 1) {
    const std::size_t before = out.size();
    appendPlain(*key[0], out);
    if (out.size() == before) refuseKey(names, key, 0, "an empty text");
    return;
  }
  out += '[';
  for (std::size_t i = 0; i < key.size(); ++i) {
    if (i != 0) out += ',';
    appendJson(*key[i], out);
  }
  out += ']';
}

RowShape::RowShape(Columns columns, const std::vector<std::string>& rowIdColumns)
    : columns_(std::move(columns)), idNames_(rowIdColumns), key_(rowIdColumns.size()) {
  for (const std::string& name : rowIdColumns) ids_.push_back(require(name, "row id column"));
  std::string joined;
  for (std::size_t i = 0; i < columns_->size(); ++i) {
    if (std::find(ids_.begin(), ids_.end(), i) != ids_.end()) continue;
    data_.push_back(i);
    dataNames_.push_back((*columns_)[i]);
    joined += std::to_string(dataNames_.back().size()) + ':' + dataNames_.back();
  }
  hash_ = hash64(joined);
}

std::size_t RowShape::require(std::string_view column, std::string_view role) const {
  if (const auto at = columns_->find(column)) return *at;
  throw Error(
      ErrorCode::columnNotFound, Retry::afterOperator,
      fmt::format("{} \"{}\" is not in the result, which has \"{}\": add it to the query (names are matched with "
                  "their case)",
                  role, column, fmt::join(columns_->names(), "\", \"")));
}

void RowShape::rowId(const std::vector<Value>& row, std::string& out) {
  for (std::size_t i = 0; i < ids_.size(); ++i) key_[i] = &row[ids_[i]];
  out.clear();
  appendRowId(key_, idNames_, out);
}

}  // namespace tidegate::detail
