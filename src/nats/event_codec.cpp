#include "nats/detail/event_codec.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "core/detail/json_tree.h"
#include "core/detail/octet_text.h"
#include "core/detail/packed.h"
#include "nats/detail/cells.h"
#include "tidegate/core/delta.h"
#include "tidegate/core/hlc.h"
#include "tidegate/core/json.h"

namespace tidegate::nats::detail {
namespace {

using tidegate::detail::JsonKind;
using tidegate::detail::JsonRef;
using tidegate::detail::JsonTree;
using tidegate::detail::PackedReader;

constexpr char kPackedVersion = 1;
constexpr char kLeftOut = '\xFF';
constexpr std::uint8_t kHasBefore = 1, kHasAfter = 2;
constexpr std::size_t kBodyDepth = kMaxJsonDepth + 4;

[[noreturn]] void refuseMessage(const std::string& why) { throw Error(ErrorCode::parseError, Retry::never, why); }

bool isLeftOut(const std::vector<std::uint32_t>& list, std::size_t& at, std::size_t column) {
  if (at == list.size() || list[at] != column) return false;
  ++at;
  return true;
}

void appendImageJson(const TableShape& shape, const std::vector<Value>& row, const std::vector<std::uint32_t>& leftOut,
                     std::string& out) {
  out.push_back('{');
  std::size_t at = 0;
  bool first = true;
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (isLeftOut(leftOut, at, i)) continue;
    if (!std::exchange(first, false)) out.push_back(',');
    appendJsonString((*shape.columns)[i], out);
    out.push_back(':');
    appendCell(row[i], out);
  }
  out.push_back('}');
}

void appendImagePacked(const std::vector<Value>& row, const std::vector<std::uint32_t>& leftOut, std::string& out) {
  std::size_t at = 0;
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (isLeftOut(leftOut, at, i))
      out.push_back(kLeftOut);
    else
      tidegate::detail::packValue(row[i], out);
  }
}

void appendSchemaChange(const ChangeEvent& event, std::string_view beforeName, std::string& out) {
  out += R"({"before":)";
  if (beforeName.empty())
    out += "null";
  else
    appendJsonString(beforeName, out);
  out += R"(,"renamed":[)";
  const SchemaChange none;
  const SchemaChange& change = event.schemaChange ? *event.schemaChange : none;
  for (const auto& [from, to] : change.renamed) {
    out += out.back() == '[' ? "[" : ",[";
    appendJsonString(from, out);
    out.push_back(',');
    appendJsonString(to, out);
    out.push_back(']');
  }
  out += fmt::format(R"(],"rowsChanged":{}}})", change.rowsChanged);
}

void readImageJson(const JsonRef& object, const TableShape& shape, std::vector<Value>& row,
                   std::vector<std::uint32_t>& leftOut) {
  const std::size_t columns = shape.columns->size();
  row.assign(columns, Value());
  std::vector<bool> found(columns, false);
  std::size_t expected = 0;
  for (const JsonRef& member : object.members()) {
    const std::string name = member.key();
    std::optional<std::size_t> at;
    if (expected < columns && (*shape.columns)[expected] == name)
      at = expected;
    else
      at = shape.columns->find(name);
    if (!at) member.fail("the table has no such column");
    if (found[*at]) member.fail("a column twice");
    found[*at] = true;
    row[*at] = cellFrom(member);
    expected = *at + 1;
  }
  for (std::uint32_t i = 0; i < columns; ++i) {
    if (!found[i]) leftOut.push_back(i);
  }
}

void readImagePacked(PackedReader& reader, const TableShape& shape, std::vector<Value>& row,
                     std::vector<std::uint32_t>& leftOut) {
  row.resize(shape.columns->size());
  for (std::uint32_t i = 0; i < row.size(); ++i) {
    if (!reader.done() && *reader.at() == kLeftOut) {
      reader.octet();
      leftOut.push_back(i);
    } else {
      reader.value(row[i]);
    }
  }
}

void readRows(std::string_view body, ChangeEvent& event) {
  if (!body.empty() && body.front() == kPackedVersion) {
    try {
      PackedReader reader(body.substr(1));
      const std::uint8_t flags = reader.octet();
      if (flags > (kHasBefore | kHasAfter)) refuseMessage("the body has unknown flags");
      if ((flags & kHasBefore) != 0) readImagePacked(reader, *event.shape, event.before, event.beforeAbsent);
      if ((flags & kHasAfter) != 0) readImagePacked(reader, *event.shape, event.after, event.unchanged);
      if (!reader.done()) refuseMessage("the body goes on after its row");
    } catch (const Error& e) {
      refuseMessage("body: " + e.message());
    }
    return;
  }
  const JsonTree tree(body, kBodyDepth);
  const JsonRef root = tree.root();
  if (const auto before = root.find("before")) readImageJson(*before, *event.shape, event.before, event.beforeAbsent);
  if (const auto after = root.find("after")) readImageJson(*after, *event.shape, event.after, event.unchanged);
}

void checkRow(const ChangeEvent& event) {
  const bool writes = event.op == ChangeOp::insert || event.op == ChangeOp::update || event.op == ChangeOp::read;
  if (writes && event.after.empty()) refuseMessage("a row without its values");
  if (event.op != ChangeOp::update && !event.unchanged.empty()) refuseMessage("a row that lacks columns");
  if (event.op == ChangeOp::erase && event.before.empty()) refuseMessage("an erase that names no row");
  if (!writes && !event.after.empty()) refuseMessage("an erase that has a row after it");
  const auto inKey = [&](std::uint32_t i) {
    return std::find(event.shape->key.begin(), event.shape->key.end(), i) != event.shape->key.end();
  };
  const std::vector<std::uint32_t>& lacks = event.op == ChangeOp::erase ? event.beforeAbsent : event.unchanged;
  if (std::any_of(lacks.begin(), lacks.end(), inKey)) refuseMessage("a row without its key");
}

void readSchemaChange(std::string_view body, const ShapeOf& shapeOf, ChangeEvent& event) {
  const JsonTree tree(body);
  const JsonRef root = tree.root();
  auto change = std::make_shared<SchemaChange>();
  if (const JsonRef before = root.member("before"); !before.isNull()) change->before = shapeOf(before.string());
  for (const JsonRef& pair : root.member("renamed").items()) {
    const auto both = pair.items();
    if (both.size() != 2) pair.fail("expected two names");
    change->renamed.emplace_back(both[0].string(), both[1].string());
  }
  change->rowsChanged = root.member("rowsChanged").boolean();
  event.schemaChange = std::move(change);
}

std::uint64_t numberFrom(std::string_view text, const char* header) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size())
    refuseMessage(fmt::format("{}: expected a number", header));
  return number;
}

void readTransaction(std::string_view text, ChangeEvent& event) {
  if (text.ends_with('e')) {
    event.transactionEnd = true;
    text.remove_suffix(1);
  }
  if (text.ends_with('b')) {
    event.transactionBegin = true;
    text.remove_suffix(1);
  }
  event.transactionId = numberFrom(text, "the transaction in Tidegate-Mark");
}

std::optional<ValueKind> kindNamed(std::string_view name) {
  for (int i = 0; i <= static_cast<int>(ValueKind::json); ++i) {
    if (toString(static_cast<ValueKind>(i)) == name) return static_cast<ValueKind>(i);
  }
  return std::nullopt;
}

}  // namespace

std::string shapeJson(const TableShape& shape) {
  std::string out = R"({"table":)";
  appendJsonString(shape.schema.table, out);
  out += R"(,"columns":[)";
  for (const ColumnSchema& column : shape.schema.columns) {
    if (out.back() != '[') out.push_back(',');
    out += R"({"name":)";
    appendJsonString(column.name, out);
    out += fmt::format(R"(,"kind":"{}","nullable":{},"type":)", toString(column.kind), column.nullable);
    appendJsonString(column.sourceType, out);
    out.push_back('}');
  }
  out += R"(],"key":[)";
  for (const std::string& name : shape.schema.primaryKey) {
    if (out.back() != '[') out.push_back(',');
    appendJsonString(name, out);
  }
  return out + "]}";
}

Shape shapeFromJson(std::string_view json) {
  const JsonTree tree(json);
  const JsonRef root = tree.root();
  TableSchema schema{.table = root.member("table").string()};
  for (const JsonRef& column : root.member("columns").items()) {
    const JsonRef kind = column.member("kind");
    const auto known = kindNamed(kind.string());
    if (!known) kind.fail("an unknown kind");
    schema.columns.push_back({.name = column.member("name").string(),
                              .kind = *known,
                              .nullable = column.member("nullable").boolean(),
                              .sourceType = column.member("type").string()});
  }
  for (const JsonRef& name : root.member("key").items()) schema.primaryKey.push_back(name.string());
  try {
    return makeShape(std::move(schema));
  } catch (const Error& e) {
    refuseMessage("a shape: " + e.message());
  }
}

const std::string& ShapeNames::nameOf(const Shape& shape) {
  const auto found = names_.find(shape.get());
  if (found != names_.end()) return found->second.second;
  const auto digest = sha256(shapeJson(*shape));
  const std::string name = tidegate::detail::hexOf(std::string_view(reinterpret_cast<const char*>(digest.data()), 8));
  return names_.emplace(shape.get(), std::pair(shape, name)).first->second.second;
}

std::optional<ChangeOp> opFromText(std::string_view text) noexcept {
  for (int i = 0; i <= static_cast<int>(ChangeOp::baselineEnd); ++i) {
    if (toString(static_cast<ChangeOp>(i)) == text) return static_cast<ChangeOp>(i);
  }
  return std::nullopt;
}

void appendEventBody(const ChangeEvent& event, Body form, std::string_view beforeName, std::string& out) {
  if (event.op == ChangeOp::schemaChange) return appendSchemaChange(event, beforeName, out);
  if (event.before.empty() && event.after.empty()) return;
  if (form == Body::packed) {
    out.push_back(kPackedVersion);
    out.push_back(static_cast<char>((event.before.empty() ? 0 : kHasBefore) | (event.after.empty() ? 0 : kHasAfter)));
    appendImagePacked(event.before, event.beforeAbsent, out);
    appendImagePacked(event.after, event.unchanged, out);
    return;
  }
  out.push_back('{');
  if (!event.before.empty()) {
    out += R"("before":)";
    appendImageJson(*event.shape, event.before, event.beforeAbsent, out);
  }
  if (!event.after.empty()) {
    out += event.before.empty() ? R"("after":)" : R"(,"after":)";
    appendImageJson(*event.shape, event.after, event.unchanged, out);
  }
  out.push_back('}');
}

void takeMark(std::string_view mark, EventHeaders& headers) noexcept {
  const std::size_t shape = mark.find(' '), transaction = mark.rfind(' ');
  if (shape == std::string_view::npos || shape == transaction) return;
  headers.shape = mark.substr(shape + 1, transaction - shape - 1);
  headers.transaction = mark.substr(transaction + 1);
}

std::string transactionText(const ChangeEvent& event) {
  return fmt::format("{}{}{}", event.transactionId, event.transactionBegin ? "b" : "", event.transactionEnd ? "e" : "");
}

std::uint64_t hlcOf(std::int64_t commitMicros) noexcept {
  if (commitMicros <= 0) return 0;
  const auto micros = static_cast<std::uint64_t>(commitMicros);
  if (micros / 1'000 > Hlc::kMaxMillis) return 0;
  return Hlc::of(micros / 1'000, static_cast<std::uint16_t>(micros % 1'000)).raw;
}

std::int64_t microsOf(std::uint64_t hlc) noexcept {
  const Hlc stamp{hlc};
  return static_cast<std::int64_t>(stamp.millis() * 1'000) + std::min<std::int64_t>(stamp.counter(), 999);
}

ChangeEvent eventFrom(const EventHeaders& headers, std::string_view body, const ShapeOf& shapeOf) {
  ChangeEvent event;
  const auto op = opFromText(headers.op);
  if (!op || *op == ChangeOp::progress) refuseMessage(fmt::format("{}: expected the name of an op", kOpHeader));
  event.op = *op;
  event.shape = shapeOf(headers.shape);
  readTransaction(headers.transaction, event);
  if (!headers.hlc.empty()) event.commitMicros = microsOf(numberFrom(headers.hlc, kHlcHeader));
  switch (event.op) {
    case ChangeOp::insert:
    case ChangeOp::update:
    case ChangeOp::erase:
    case ChangeOp::read:
      readRows(body, event);
      checkRow(event);
      break;
    case ChangeOp::schemaChange:
      readSchemaChange(body, shapeOf, event);
      break;
    default:
      if (!body.empty()) refuseMessage("a body where none belongs");
  }
  return event;
}

}  // namespace tidegate::nats::detail
