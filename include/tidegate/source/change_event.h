/// What a source says: changes of rows, in order, with their place in the stream and their transaction.
///
///     for (const ChangeEvent& e : batch)
///       if (e.op == ChangeOp::erase) cache.remove(keyOf(*e.shape, e.before));
///
/// Origin: laredo's ChangeEvent; differs in that a row is values beside a shared shape, that columns may be unchanged
/// (Postgres's TOAST), and that each event has a position and its transaction's borders.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tidegate/core/position.h"
#include "tidegate/core/row.h"
#include "tidegate/core/schema.h"

namespace tidegate {

/// What happened.
enum class ChangeOp : std::uint8_t {
  insert,         ///< `after` is the new row
  update,         ///< `after` is the new row; `before` the old one or its key, where the source knows it
  erase,          ///< `before` is the old row, or only its key columns (the others are listed in `beforeAbsent`)
  truncate,       ///< every row of the table is gone
  schemaChange,   ///< events that follow have `shape`; `schemaChange` says what became of the columns
  read,           ///< a row of a baseline, as it was at this place of the stream: insert it or replace it by key
  baselineBegin,  ///< `read` events of the table follow, perhaps among other changes of it
  baselineEnd,    ///< the baseline is whole: rows of the target that neither it nor later changes named are gone
  progress        ///< nothing happened up to `position`; no table
};

/// The op's identifier, e.g. "schemaChange".
std::string_view toString(ChangeOp op) noexcept;

/// A table's columns and key at some time, shared by all events of that time.
/// @thread Immutable: any.
struct TableShape {
  explicit TableShape(TableSchema schema);
  TableSchema schema;              ///< `schema.table`: the source's full name, e.g. "public.users"
  Columns columns;                 ///< the names of `schema.columns`, in their order
  std::vector<std::uint32_t> key;  ///< indices of the key columns in key order; empty where there is no key
};
using Shape = std::shared_ptr<const TableShape>;

/// Makes a shared shape. @throws Error{invalidArgument} for a repeated column, or a key column that does not exist.
Shape makeShape(TableSchema schema);

/// What a schema change did.
struct SchemaChange {
  Shape before;                                                ///< null: the table was not known before
  std::vector<std::pair<std::string, std::string>> renamed{};  ///< columns, from and to
  /// Rows that were there already have values in the new shape that no event brings (a column added with a default, or
  /// retyped by an expression): the table needs a new baseline.
  bool rowsChanged = false;
};

/// One change. Values stand in the order of `shape->columns`.
struct ChangeEvent {
  ChangeOp op = ChangeOp::progress;
  bool transactionBegin = false;  ///< the first event of its transaction
  bool transactionEnd = false;    ///< the last; a sink may commit here. Both true where the source has none
  Shape shape{};                  ///< null only for `progress`
  std::vector<Value> before{};    ///< empty where the source does not say
  std::vector<Value> after{};     ///< insert, update, read
  /// Columns (indices, ascending) of `after` whose value the source left out because it did not change. Their place in
  /// `after` is null and means nothing.
  std::vector<std::uint32_t> unchanged{};
  /// Columns (indices, ascending) of `before` that the source did not send: for key-only images.
  std::vector<std::uint32_t> beforeAbsent{};
  Position position{};              ///< where to go on after this event; never empty
  std::int64_t commitMicros = 0;    ///< Unix microseconds, UTC; 0 where unknown
  std::uint64_t transactionId = 0;  ///< of the source (Postgres: xid; MariaDB: GTID sequence); 0 where none
  std::shared_ptr<const SchemaChange> schemaChange{};  ///< of a `schemaChange`

  /// Octets of names and values, about what it holds in memory; for bounds on queues.
  std::size_t bytes() const noexcept;
};

/// Consecutive events of one stream. Slots are kept and filled again, so that a steady stream allocates little.
/// @thread One at a time.
class ChangeBatch {
 public:
  /// Appends an event with nothing in it but `op` and `shape`. The reference holds until the next `add` or `clear`.
  ChangeEvent& add(ChangeOp op, const Shape& shape);
  /// The same, but `after` keeps what its slot's last use left in it, for a decoder that overwrites every value: texts
  /// then reuse their memory.
  ChangeEvent& addOver(ChangeOp op, const Shape& shape);
  /// Takes the last event back.
  void dropLast();
  /// Empties it; the slots' memory stays.
  void clear() noexcept;
  void swap(ChangeBatch& other) noexcept;

  std::size_t size() const noexcept { return count_; }
  bool empty() const noexcept { return count_ == 0; }
  const ChangeEvent* begin() const noexcept { return slots_.data(); }
  const ChangeEvent* end() const noexcept { return slots_.data() + count_; }
  ChangeEvent* begin() noexcept { return slots_.data(); }
  ChangeEvent* end() noexcept { return slots_.data() + count_; }
  const ChangeEvent& operator[](std::size_t i) const { return slots_[i]; }
  ChangeEvent& operator[](std::size_t i) { return slots_[i]; }
  const ChangeEvent& back() const { return slots_[count_ - 1]; }
  ChangeEvent& back() { return slots_[count_ - 1]; }
  /// Sum of the events' `bytes()`. Counted when asked.
  std::size_t bytes() const noexcept;

 private:
  std::vector<ChangeEvent> slots_;
  std::size_t count_ = 0;
};

}  // namespace tidegate
