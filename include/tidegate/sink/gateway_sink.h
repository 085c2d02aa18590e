/// A gateway as a target: what a database's log says becomes deltas, and so reaches every client that syncs.
///
///     Gateway gateway({.rules = rules});
///     PipelineSpec feed{.name = "feed", .source = "shop", .tables = {{.table = "public.users"}},
///                       .sink = std::make_shared<GatewaySink>(gateway)};
///
/// A row's id is its key, as `rowIdOf` writes it. Clients' own edits stay where they are newer, as with any push.
#pragma once

#include <memory>
#include <string>

#include "tidegate/gateway/gateway.h"
#include "tidegate/sink/sink.h"

namespace tidegate {

struct GatewaySinkOptions {
  bool keyColumns = true;  ///< whether deltas hold the key's columns too; pollers leave them out
  /// Whether a source's transaction is always one push. It is then held in memory, however large it is. If not, one of
  /// over `PipelineSpec::commitEvents` changes is several pushes, each with the place where the next goes on.
  bool wholeTransactions = false;
};

/// Makes deltas of changes (`extractDelta`), and at `commit` pushes the unit as the trusted ingest sender
/// "ingest:<pipeline>": in one push, and in one commit of the gateway with the checkpoint and the fence
/// (`Gateway::takeIngest`). So each change is in the gateway's log once, whenever the process is killed, and a second
/// writer's unit is refused whole. A gateway without a store forgets both together, and a restart begins with a
/// baseline.
///
/// - Error{backPressure, Retry::later} from `commit` when the gateway is full; nothing is lost.
/// - A truncate, and the end of a baseline, take out rows that this pipeline brought; rows of others stay.
/// - Columns need no preparing. A dropped one stays in the rows as it was; a renamed one is copied and its old name
///   set to null.
/// @thread As Sink. The gateway must outlive it.
class GatewaySink final : public Sink {
 public:
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
