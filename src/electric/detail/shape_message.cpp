#include "electric/detail/shape_message.h"

#include <algorithm>

#include "electric/detail/pg_text.h"
#include "electric/detail/table_name.h"
#include "tidegate/core/json.h"

namespace tidegate::electric::detail {
namespace {

/// Separators within a part are doubled, so that no two rows have one key.
void appendEscaped(std::string_view text, std::string_view separators, std::string& out) {
  for (const char c : text) {
    if (separators.find(c) != separators.npos) out += c;
    out += c;
  }
}

void writeCell(const TableShape& table, std::uint32_t column, const Value& value, bool& first, std::string& out) {
  if (!first) out += ',';
  first = false;
  appendJsonString((*table.columns)[column], out);
  out += ':';
  if (value.isNull()) {
    out += "null";
  } else {
    appendJsonString(pgText(value), out);
  }
}

void writeRow(const ShapeDefinition& shape, std::span<const Value> row, std::string& out) {
  bool first = true;
  for (const std::uint32_t column : shape.columns) writeCell(*shape.table, column, row[column], first, out);
}

void writeKeyCells(const ShapeDefinition& shape, std::span<const Value> row, std::string& out) {
  bool first = true;
  for (const std::uint32_t column : shape.table->key) writeCell(*shape.table, column, row[column], first, out);
}

bool isKeyColumn(const TableShape& table, std::uint32_t column) {
  return std::find(table.key.begin(), table.key.end(), column) != table.key.end();
}

void begin(const TableTexts& texts, std::string_view key, std::string& out) {
  out += "{\"key\":";
  appendJsonString(texts.keyPrefix + "/" + std::string(key), out);
  out += ",\"value\":{";
}

void writeHeaders(const TableTexts& texts, std::string_view operation, const MessagePlace& place, std::string& out) {
  out.append(",\"headers\":{\"operation\":\"").append(operation).append("\",\"relation\":").append(texts.relation);
  if (place.transactionId != 0) out.append(",\"txids\":[").append(std::to_string(place.transactionId)).append("]");
  out.append(",\"lsn\":\"").append(std::to_string(place.at.tx)).append("\",\"op_position\":");
  out.append(std::to_string(place.at.op));
}

}  // namespace

bool ShapeDefinition::sends(std::uint32_t column) const {
  return std::binary_search(columns.begin(), columns.end(), column);
}

std::string ShapeDefinition::identity() const {
  std::string out = table->schema.table;
  out += full ? "\nfull\n" : "\ndefault\n";
  for (const std::uint32_t column : columns) out.append((*table->columns)[column]).append("\n");
  return out.append("\n").append(where.text());
}

TableTexts::TableTexts(std::string_view table) {
  const auto [schema, name] = relationOf(table);
  keyPrefix += '"';
  appendEscaped(schema, "./", keyPrefix);
  keyPrefix += "\".\"";
  appendEscaped(name, "./", keyPrefix);
  keyPrefix += '"';
  relation += '[';
  appendJsonString(schema, relation);
  relation += ',';
  appendJsonString(name, relation);
  relation += ']';
}

std::string keyOf(const TableShape& shape, std::span<const Value> row) {
  std::string out;
  for (const std::uint32_t column : shape.key) {
    out += out.empty() ? "\"" : "/\"";
    appendEscaped(pgText(row[column]), "/", out);
    out += '"';
  }
  return out;
}

void writeInsert(const ShapeDefinition& shape, const TableTexts& texts, std::string_view key,
                 std::span<const Value> row, const MessagePlace& place, std::string& out) {
  begin(texts, key, out);
  writeRow(shape, row, out);
  out += '}';
  writeHeaders(texts, "insert", place, out);
}

void writeUpdate(const ShapeDefinition& shape, const TableTexts& texts, std::string_view key,
                 std::span<const Value> before, std::span<const Value> after, const MessagePlace& place,
                 std::string& out) {
  begin(texts, key, out);
  const TableShape& table = *shape.table;
  bool first = true;
  for (const std::uint32_t column : shape.columns) {
    const bool sent = shape.full || isKeyColumn(table, column) || !(before[column] == after[column]);
    if (sent) writeCell(table, column, after[column], first, out);
  }
  out += '}';
  if (shape.full) {
    out += ",\"old_value\":{";
    first = true;
    for (const std::uint32_t column : shape.columns) {
      if (!(before[column] == after[column])) writeCell(table, column, before[column], first, out);
    }
    out += '}';
  }
  writeHeaders(texts, "update", place, out);
}

void writeDelete(const ShapeDefinition& shape, const TableTexts& texts, std::string_view key,
                 std::span<const Value> row, const MessagePlace& place, std::string& out) {
  begin(texts, key, out);
  if (shape.full) {
    writeRow(shape, row, out);
  } else {
    writeKeyCells(shape, row, out);
  }
  out += '}';
  writeHeaders(texts, "delete", place, out);
}

void endMessage(bool last, std::string& out) { out += last ? ",\"last\":true}}" : "}}"; }

void writeSnapshotRow(const ShapeDefinition& shape, const TableTexts& texts, std::string_view key,
                      std::span<const Value> row, std::string& out) {
  begin(texts, key, out);
  writeRow(shape, row, out);
  out.append("},\"headers\":{\"operation\":\"insert\",\"relation\":").append(texts.relation).append("}}");
}

std::string upToDate(std::uint64_t tx) {
  return "{\"headers\":{\"control\":\"up-to-date\",\"global_last_seen_lsn\":\"" + std::to_string(tx) + "\"}}";
}

}  // namespace tidegate::electric::detail
