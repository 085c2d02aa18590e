/// Messages of a shape's log, as JSON, and the keys of rows.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "electric/detail/shape_definition.h"
#include "electric/detail/shape_offset.h"

namespace tidegate::electric::detail {

/// What all messages of one table have in common.
struct TableTexts {
  explicit TableTexts(std::string_view table);
  std::string keyPrefix;  ///< "public"."items"
  std::string relation;   ///< ["public","items"], as JSON
};

/// A row's key without its table: "1"/"eu", each value in quotes, slashes doubled. Values stand in the columns' order.
std::string keyOf(const TableShape& shape, std::span<const Value> row);

/// Where a change stands.
struct MessagePlace {
  ShapeOffset at{};
  std::uint64_t transactionId = 0;
};

/// Each writes a message but for its end: `endMessage` says whether it is its transaction's last.
void writeInsert(const ShapeDefinition& shape, const TableTexts& texts, std::string_view key,
                 std::span<const Value> row, const MessagePlace& place, std::string& out);
void writeUpdate(const ShapeDefinition& shape, const TableTexts& texts, std::string_view key,
                 std::span<const Value> before, std::span<const Value> after, const MessagePlace& place,
                 std::string& out);
void writeDelete(const ShapeDefinition& shape, const TableTexts& texts, std::string_view key,
                 std::span<const Value> row, const MessagePlace& place, std::string& out);
void endMessage(bool last, std::string& out);
/// A row of a snapshot, whole.
void writeSnapshotRow(const ShapeDefinition& shape, const TableTexts& texts, std::string_view key,
                      std::span<const Value> row, std::string& out);

/// {"headers":{"control":"up-to-date","global_last_seen_lsn":"7"}}
std::string upToDate(std::uint64_t tx);
inline constexpr std::string_view kMustRefetch = R"([{"headers":{"control":"must-refetch"}}])";

/// The `electric-schema` field: PostgreSQL's types of the columns that are sent.
std::string schemaJson(const ShapeDefinition& shape);

}  // namespace tidegate::electric::detail
