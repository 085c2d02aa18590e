/// What a sink keeps beside its tables: checkpoints with their fence, and baselines under way.
///
///     checkpoints(pipeline, epoch, checkpoint, writer_pid, writer_start, committed_at)
///     baselines(pipeline, target, id, tracked, pristine)      and for each that is tracked: named_<id>(k1, k2…)
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "postgres/detail/sink_connection.h"
#include "postgres/detail/sink_table.h"

namespace tidegate::postgres::detail {

class Bookkeeping {
 public:
  Bookkeeping(SinkConnection& connection, std::string schema, std::string pipeline);

  /// Makes the tables, ends the session of the writer before, takes the fence.
  /// @param heldEpoch the epoch that this sink held before, 0: none.
  /// @return the checkpoint. @throws Error{fenced} if it held one and another writer has taken over since.
  std::optional<std::string> takeOver(std::int64_t heldEpoch);
  std::int64_t epoch() const { return epoch_; }
  /// The epoch that stands on the server now; 0 if none does.
  std::int64_t storedEpoch();
  /// @throws Error{fenced}
  [[noreturn]] void refuseFenced() const;

  /// Writes the checkpoint in the open transaction. @throws Error{fenced}
  void write(std::string_view checkpoint);

  BaselineState baselineOf(const TargetName& target);
  /// @param targetIsEmpty then nothing needs to be remembered of the rows that are named.
  BaselineState beginBaseline(const SinkTable& table, bool targetIsEmpty);
  void markChanged(const TargetName& target);
  void endBaseline(const TargetName& target, const BaselineState& state);

 private:
  void makeTables();
  void endWriterBefore();
  std::string table(std::string_view name) const;

  SinkConnection& connection_;
  std::string schema_, pipeline_;
  std::int64_t epoch_ = 0;
};

}  // namespace tidegate::postgres::detail
