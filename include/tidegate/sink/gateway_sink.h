/// A gateway as a target: what a database's log says becomes deltas, and so reaches every client that syncs.
///
///     Gateway gateway({.rules = rules});
///     PipelineSpec feed{.name = "feed", .source = "shop", .tables = {{.table = "public.users"}},
///                       .sink = std::make_shared<GatewaySink>(gateway)};
///
/// A row's id is its key, as `rowIdOf` writes it. Clients' own edits stay where they are newer, as with any push.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "tidegate/core/state_store.h"
#include "tidegate/gateway/gateway.h"
#include "tidegate/sink/sink.h"

namespace tidegate {

struct GatewaySinkOptions {
  /// Where checkpoints are kept; null: in memory, so that a restart begins with a baseline. Give one that lives as long
  /// as the gateway's store, no longer.
  std::shared_ptr<StateStore> state{};
  bool keyColumns = true;          ///< whether deltas hold the key's columns too; pollers leave them out
  std::size_t pushDeltas = 5'000;  ///< 1..the gateway's maxDeltasPerPush
};

/// Pushes at `commit`, as the trusted ingest sender "ingest:<pipeline>", then keeps the checkpoint. A unit of up to
/// `pushDeltas` changes is one push and seen at once; a larger one, or one with a truncate, an end of a baseline or a
/// renamed column, is several. A crash before the checkpoint is kept makes the unit come again, which changes nothing.
///
/// - Error{backPressure, Retry::later} from `commit` when the gateway is full; nothing is lost.
/// - A truncate, and the end of a baseline, take out rows that this pipeline brought; rows of others stay.
/// - Columns need no preparing. A dropped one stays in the rows as it was; a renamed one is copied and its old name
///   set to null.
/// - The fence is a number in the state store, looked at before each commit: two writers that commit at the same moment
///   may both be heard, which is harmless, since applying a change twice is.
/// @thread As Sink. The gateway must outlive it.
class GatewaySink final : public Sink {
 public:
  /// @throws Error{invalidConfig} for pushDeltas of 0.
  explicit GatewaySink(Gateway& gateway, GatewaySinkOptions options = {});
  ~GatewaySink() override;

  SinkTraits traits() const override;
  std::optional<std::string> open(const SinkContext& context) override;
  void prepareTable(const Shape& shape) override;
  void apply(const ChangeBatch& batch) override;
  void commit(std::string_view checkpoint) override;
  void rollback() noexcept override;
  void close() noexcept override;
  /// Rows that this pipeline brought, as clients may have edited them. @throws Error{invalidArgument} without
  /// keyColumns
  std::unique_ptr<RowStream> readTable(const Shape& shape, std::stop_token stop) override;
  /// Looks at every row that this pipeline brought.
  std::uint64_t expire(const Shape& shape, std::string_view column, const Value& cutoff) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tidegate
