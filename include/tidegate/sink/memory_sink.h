/// Tables in memory, kept by a pipeline and queried from any thread: a cache that is always a whole state of its
/// source.
///
///     auto cache = std::make_shared<MemorySink>(MemorySinkOptions{.indexes = {{"users", "email"}}});
///     // … .sink = cache …
///     MemoryView now = cache->view();
///     if (auto user = now.get("users", {7})) greet(*user->find("name"));
///     for (const Row& row : now.equals("users", "email", "ada@example.com")) …
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tidegate/core/row.h"
#include "tidegate/sink/sink.h"

namespace tidegate {

/// An index beside the key's. It is kept from the table's first row on.
struct MemoryIndex {
  std::string table{};
  std::string column{};
  bool ordered = false;  ///< false: for `equals`; true: for `range` and `equals`
};

/// What a commit did to one row, or to a table.
struct MemoryChange {
  std::string table{};
  ChangeOp op = ChangeOp::insert;  ///< insert, update, erase; truncate and schemaChange are of the whole table
  std::vector<Value> key{};        ///< in key order; empty for a whole table
};

struct MemorySinkOptions {
  std::vector<MemoryIndex> indexes{};
  /// Called after a commit that changed something, on the pipeline's thread, under no lock. Must not throw.
  std::function<void(const std::vector<MemoryChange>&)> onCommit{};
};

/// Part of a column's values, in their order: numbers by value, text and bytes by octets, times by time; null comes
/// first, then the kinds in the order of `ValueKind`, numbers being one kind.
struct MemoryRange {
  std::optional<Value> from{};  ///< included
  std::optional<Value> to{};    ///< left out, unless `includeTo`
  bool includeTo = false;
  bool descending = false;
  std::size_t limit = SIZE_MAX;
};

class MemorySink;

/// All tables as one commit left them. While it lives commits wait, so keep it short; take one at a time on a thread.
/// Values compare by `Value::operator==`. Names of tables and columns that are not there throw
/// Error{tableNotFound, columnNotFound}.
/// @thread The one that took it.
class MemoryView {
 public:
  MemoryView(MemoryView&&) noexcept;
  ~MemoryView();

  /// Commits so far.
  std::uint64_t unit() const noexcept;
  bool has(std::string_view table) const noexcept;
  Shape shape(std::string_view table) const;
  std::size_t count(std::string_view table) const;
  /// The row with the key (in key order).
  std::optional<Row> get(std::string_view table, const std::vector<Value>& key) const;
  /// Rows whose column holds the value. By an index where there is one, else every row is looked at.
  std::vector<Row> equals(std::string_view table, std::string_view column, const Value& value,
                          std::size_t limit = SIZE_MAX) const;
  /// Rows by a column's order. By an ordered index where there is one, else all are looked at and sorted.
  std::vector<Row> range(std::string_view table, std::string_view column, const MemoryRange& range = {}) const;
  /// Every row, in no order, until `visit` says false. The row's memory is used again for the next.
  void scan(std::string_view table, const std::function<bool(const Row&)>& visit) const;
  /// How many rows `wanted` says true of.
  std::size_t count(std::string_view table, const std::function<bool(const Row&)>& wanted) const;

 private:
  friend class MemorySink;
  struct Impl;
  explicit MemoryView(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Applies changes where the pipeline says so, and shows them at commits. Rows are kept packed, some 20 octets more
/// than their values. Forgets everything with the process, so a restart begins with a baseline. One pipeline each.
///
/// A shape with other columns is followed: added ones are null, renamed ones keep their values.
/// @thread The members of Sink: one at a time. `view`, `bytes`: any.
class MemorySink final : public Sink {
 public:
  /// @throws Error{invalidConfig} for an index without a table or a column.
  explicit MemorySink(MemorySinkOptions options = {});
  ~MemorySink() override;

  MemoryView view() const;
  /// Memory held for rows and indexes, about.
  std::size_t bytes() const;

  SinkTraits traits() const override;
  std::optional<std::string> open(const SinkContext& context) override;
  void prepareTable(const Shape& shape) override;
  void apply(const ChangeBatch& batch) override;
  void commit(std::string_view checkpoint) override;
  /// Not while somebody reads, and never with `onCommit`, nor what concerns all rows of a table: its end of a baseline,
  /// a truncate, another shape.
  bool tryCommit(std::string_view checkpoint) override;
  void rollback() noexcept override;
  void close() noexcept override;
  /// Rows of one commit are read together some at a time; a commit may come in between.
  std::unique_ptr<RowStream> readTable(const Shape& shape, std::stop_token stop) override;
  /// @return rows that the last commit left and that are before `cutoff`.
  std::uint64_t expire(const Shape& shape, std::string_view column, const Value& cutoff) override;

  struct Impl;

 private:
  struct Writer;
  Writer& writer();
  void makeTable(const Shape& shape);
  void applyOne(const ChangeEvent& event);
  void commitLocked(std::string_view checkpoint, std::vector<MemoryChange>* changes);

  std::shared_ptr<Impl> impl_;  ///< shared with views, and with streams of `readTable`
  std::unique_ptr<Writer> writer_;
};

}  // namespace tidegate
