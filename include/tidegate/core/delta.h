/// A change of one row, column by column, and how it is found, named and applied.
///
///     DeltaContext context{.table = "users", .rowId = "7", .clientId = "app", .hlc = clock.now()};
///     if (auto delta = extractDelta(&before, &after, context)) push.deltas.push_back(std::move(*delta));
///
/// Origin: LakeSync's `RowDelta`, `extractDelta` and delta id; differs in typed values and in ids held as 32 octets.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tidegate/core/hlc.h"
#include "tidegate/core/row.h"
#include "tidegate/core/schema.h"
#include "tidegate/core/value.h"

namespace tidegate {

/// What happened to the row. Wire: "INSERT", "UPDATE", "DELETE".
enum class DeltaOp : std::uint8_t { insert = 0, update = 1, erase = 2 };

/// The wire form, "INSERT", "UPDATE" or "DELETE".
std::string_view toString(DeltaOp op) noexcept;
/// Reads the wire form exactly; nullopt otherwise.
std::optional<DeltaOp> parseDeltaOp(std::string_view text) noexcept;

/// A SHA-256 delta id. Wire: 64 lower-case hex digits.
struct DeltaId {
  std::array<std::uint8_t, 32> octets{};

  /// All zero: "not computed". A trusted sender may leave it so; the gateway computes it when somebody reads it.
  bool isNull() const noexcept { return octets == std::array<std::uint8_t, 32>{}; }
  std::string hex() const;
  /// Reads 64 lower-case hex digits; nullopt otherwise.
  static std::optional<DeltaId> parse(std::string_view hex) noexcept;
  auto operator<=>(const DeltaId&) const = default;
};

/// One changed column.
struct ColumnValue {
  std::string column;
  Value value;
  bool operator==(const ColumnValue&) const = default;
};

/// A change of one row. An erase has no columns.
struct RowDelta {
  DeltaOp op = DeltaOp::update;
  std::string table{};
  std::string rowId{};
  std::string clientId{};
  std::vector<ColumnValue> columns{};
  Hlc hlc{};
  DeltaId deltaId{};
  bool operator==(const RowDelta&) const = default;
};

/// Whose change it is and when. `schema`, where given, limits the columns considered to those it lists.
struct DeltaContext {
  std::string_view table{};
  std::string_view rowId{};
  std::string_view clientId{};
  Hlc hlc{};
  const TableSchema* schema = nullptr;
  bool computeId = true;  ///< false leaves `deltaId` null (trusted senders on a hot path)
};

/// The change from one state of a row to another.
///
/// before null: insert with every column of `after`. after null: erase. Both: update with the columns whose value is
/// not `sameValue`. A column that `after` lacks is absent, which is no change; nor is both null.
/// @return nullopt where nothing changed.
/// @throws Error{internal} only if OpenSSL fails.
std::optional<RowDelta> extractDelta(const Row* before, const Row* after, const DeltaContext& context);

/// A row whose values lie elsewhere.
struct RowView {
  const ColumnList& columns;
  std::span<const Value> values;
  std::span<const std::uint32_t> absent{};  ///< places of columns that it lacks nonetheless, ascending
};

/// The same without a copy of the rows, into a delta whose memory is used again.
/// @return whether anything changed; if not, `delta` means nothing.
bool extractDelta(const RowView* before, const RowView* after, const DeltaContext& context, RowDelta& delta);

/// Applies a delta to a row state without conflict resolution: insert and update set their columns (new columns are
/// appended in the delta's order), erase gives nullopt. An update of a missing row makes it from the delta's columns.
std::optional<Row> applyDelta(std::optional<Row> row, const RowDelta& delta);

/// The RFC 8785 canonical JSON of `{clientId, columns, hlc, rowId, table}`, hlc as a decimal string, columns in the
/// row's order. NaN and infinities are null; -0 is 0; integers of any size are written exactly.
void appendCanonicalJson(const RowDelta& delta, std::string& out);

/// SHA-256 of the canonical JSON. The op is not part of it: deduplicate by (deltaId, op).
/// @thread Any; each thread keeps its own OpenSSL digest context.
DeltaId computeDeltaId(const RowDelta& delta);

/// SHA-256 of any octets, by the same per-thread context.
std::array<std::uint8_t, 32> sha256(std::string_view octets);

}  // namespace tidegate
