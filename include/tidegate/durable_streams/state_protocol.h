/// The State Protocol: changes of rows as JSON messages of a durable stream, read and written without loss.
///
///     StateMessage message = parseStateMessage(text);          // throws Error{parseError, "headers.operation: …"}
///     if (const auto* change = std::get_if<ChangeMessage>(&message)) {
///       rowFromJson(schema, change->value, row);               // 64-bit integers and decimals keep every digit
///     }
///
/// A row is an object of its columns. Each kind has one form, by which the declared kind reads it back: docs/types.md,
/// section "State Protocol". Origin: STATE-PROTOCOL.md 1.0 of durable-streams; adds three members to `headers` that
/// other readers pass over: `last` (the border of a transaction), `type` (of a control), `source` (who wrote a change).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tidegate/core/schema.h"
#include "tidegate/core/value.h"
#include "tidegate/source/change_event.h"

namespace tidegate::durable_streams {

enum class StateOperation { insert, update, erase };
/// "insert", "update", "delete".
std::string_view toString(StateOperation operation) noexcept;

enum class StateControl { snapshotStart, snapshotEnd, reset };
/// "snapshot-start", "snapshot-end", "reset".
std::string_view toString(StateControl control) noexcept;

/// A change of one entity. `value` and `oldValue` are JSON text as it was written; empty: the member is not there.
struct ChangeMessage {
  StateOperation operation = StateOperation::insert;
  std::string type{};  ///< not empty
  std::string key{};   ///< not empty
  std::string value{};
  std::string oldValue{};
  std::string txid{};       ///< empty: none
  std::string timestamp{};  ///< RFC 3339; empty: none
  std::string offset{};     ///< empty: none
  /// With several changes in one transaction: false until its last change, which says true. None: a change of its own.
  std::optional<bool> last{};
  std::string source{};  ///< an origin mark, for loop prevention; empty: none
  bool operator==(const ChangeMessage&) const = default;
};

struct ControlMessage {
  StateControl control = StateControl::reset;
  std::string offset{};  ///< empty: none
  std::string type{};    ///< the entity type that it is about; empty: all of the stream
  bool operator==(const ControlMessage&) const = default;
};

using StateMessage = std::variant<ChangeMessage, ControlMessage>;

/// Reads one message. Members that the protocol does not name are passed over. "upsert", which some clients write, is
/// an update.
/// @throws Error{parseError} naming the member, e.g. "headers.operation: expected \"insert\", \"update\" or
///         \"delete\"".
StateMessage parseStateMessage(std::string_view json);

/// Appends the message as one line of JSON. `value` and `oldValue` must be JSON.
void appendStateMessage(const ChangeMessage& message, std::string& out);
void appendStateMessage(const ControlMessage& message, std::string& out);

/// Appends a value so that `valueFromState` reads the same again: as `appendJson`, but NaN and infinities are the
/// strings "NaN", "Infinity" and "-Infinity", and -0.0 keeps its sign.
void appendStateValue(const Value& value, std::string& out);

/// What a value does that is not of the column's kind.
enum class KindMismatch {
  refuse,  ///< Error{parseError}
  keep     ///< it is read by its own JSON kind
};

/// Reads a value of a column. JSON's null is SQL's, in a JSON column too. Integers, decimals and doubles may also come
/// as strings of their digits. `ValueKind::null` reads any value, as `valueFromJson`.
/// @throws Error{parseError} naming what was expected.
Value valueFromState(std::string_view json, ValueKind kind, KindMismatch mismatch = KindMismatch::refuse);

/// Appends a row as an object of its columns. Columns listed in `leftOut` (ascending) are left out.
void appendRowJson(const TableShape& shape, const std::vector<Value>& row, std::string& out,
                   const std::vector<std::uint32_t>& leftOut = {});
/// Reads an object of columns. Missing ones are null and, where `missing` is given, listed there; members that are no
/// columns are passed over.
/// @throws Error{parseError} naming the column.
void rowFromJson(const TableSchema& schema, std::string_view json, std::vector<Value>& row,
                 KindMismatch mismatch = KindMismatch::refuse, std::vector<std::uint32_t>* missing = nullptr);

/// A row's entity key: the text of its one key column, or a JSON array of its key columns' values. Texts that are empty
/// or begin with '[' take the second form too, so that no two rows of a table share a key.
/// @throws Error{rowIdInvalid} where a key column is null.
std::string stateKey(const TableShape& shape, const std::vector<Value>& row);
/// Reads a key back into its columns' places of `row`, which has one for each column.
/// @throws Error{parseError} for a key that `stateKey` does not write for this shape.
void keyFromState(const TableShape& shape, std::string_view key, std::vector<Value>& row);

}  // namespace tidegate::durable_streams
