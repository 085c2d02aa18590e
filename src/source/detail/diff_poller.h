/// Polls one table by comparing its whole result with the last accepted picture (docs/decisions/0005).
#pragma once

#include <memory>
#include <string>

#include "source/detail/diff_changes.h"
#include "source/detail/poll_context.h"
#include "source/detail/row_layouts.h"
#include "source/detail/row_shape.h"

namespace tidegate::detail {

/// Stands in the snapshot for a row whose push has begun and is not known to have ended: no packed row is a lone 0xFF.
inline constexpr std::string_view kInDoubt("\xFF", 1);

/// @thread The polling thread.
class DiffPoller final : public TablePoller {
 public:
  DiffPoller(const PollContext& context, const IngestTableConfig& table);
  void poll(PollRun& run, TableReport& report) override;

 private:
  struct Found;
  void beginPoll();
  void readLayouts(const std::string& octets);
  std::size_t layoutOf(const RowShape& shape);
  /// Reads the result; only `found` changes. @return false if the poll was paused.
  bool read(PollRun& run, TableReport& report, Found& found);
  void checkDeletes(const Found& found) const;
  void collectErases(Found& found);
  void pushAll(PollRun& run, TableReport& report, DiffChanges& changes);
  bool fill(PackedReader& in, struct DiffChunk& chunk, TableReport& report) const;
  void showImage(const DiffChange& change, std::optional<Row> before, std::optional<Row> after) const;
  void doubt(const struct DiffChunk& chunk);
  void pushInDoubt(struct DiffChunk& chunk, TableReport& report);
  void take(struct DiffChunk& chunk, TableReport& report);
  void warnIfLarge();

  const PollContext& context_;
  const IngestTableConfig& table_;
  const DiffStrategy& strategy_;
  const std::string sql_;
  std::unique_ptr<TableSnapshot> snapshot_;
  RowLayouts layouts_;
  std::string savedLayouts_;  ///< as the snapshot holds them; empty: it holds none
  bool layoutsRead_ = false;
  bool warned_ = false;
};

}  // namespace tidegate::detail
