/// What a sink keeps beside its tables, in the connection's database:
///
///     checkpoints(pipeline, epoch, checkpoint, commits, committed_at)      the fence and the last commit
///     baselines(pipeline, target, tracked)                                 baselines under way
///     named_<hash>(k1, k2…)                                                keys that such a one has named, of one
///     target moved(target, was, now)                                              columns renamed (or retyped: was =
///     now) ahead drops(pipeline, target, name)                                        columns that nothing sends any
///     more
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "mysql/detail/sink_table.h"

namespace tidegate::mysql::detail {

class Bookkeeping {
 public:
  Bookkeeping(SinkConnection& connection, std::string prefix, std::string pipeline);

  /// Makes the tables, ends the connection of the writer before, takes the fence.
  /// @param heldEpoch the epoch that this sink held before, 0: none.
  /// @throws Error{fenced} if it held one and another writer has taken over since.
  std::optional<std::string> takeOver(std::int64_t heldEpoch);
  std::int64_t epoch() const { return epoch_; }
  std::int64_t storedEpoch();
  /// @throws Error{fenced}
  [[noreturn]] void refuseFenced() const;

  /// Writes the checkpoint in the open transaction. @throws Error{fenced}
  void write(std::string_view checkpoint);

  BaselineState baselineOf(const TargetName& target);
  BaselineState beginBaseline(const SinkTable& table, bool targetIsEmpty);
  void endBaseline(const TargetName& target);
  /// The name, quoted, of the table of named keys; made if it is not there, or made anew for other key columns.
  std::string namedTableFor(const TargetName& target, const Shape& shape, const CatalogTable& catalog,
                            const Moved& moved);

  Moved movedOf(const TargetName& target);
  /// Remembers, at once, that a column is about to have another name or type.
  void willMove(const TargetName& target, const std::string& was, const std::string& now);
  /// Forgets them, in the open transaction: what follows is in the new shape.
  void forgetMoved(const TargetName& target);
  void willDrop(const TargetName& target, const std::string& column);
  /// Takes `willDrop` back. @return whether it had been said.
  bool keepAfterAll(const TargetName& target, const std::string& column);
  /// Drops, outside of a transaction, the columns that committed units left behind.
  void dropColumns();

 private:
  void makeTables();
  void endWriterBefore();
  std::string table(std::string_view name) const { return quoted(prefix_ + std::string(name)); }

  SinkConnection& connection_;
  std::string prefix_, pipeline_;
  std::int64_t epoch_ = 0;
};

}  // namespace tidegate::mysql::detail
