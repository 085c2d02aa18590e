/// The pollers of `SourcePoller` as a SyncSource, so that polling feeds any sink.
///
///     IngestSourceConfig shop{.name = "shop", .query = sqlite::queryFn({.path = "shop.db"}), .tables = {…}};
///     auto source = std::make_shared<PollingSource>(shop, PollingSourceOptions{
///         .state = sqlite::stateStore({.path = "state.db"}), .snapshots = sqlite::snapshotStore({.path =
///         "state.db"})});
///
/// What a poll sees are states, not changes, so:
/// - A cursor poll gives an `update` with the whole row and no `before` for each row it read anew: the row may have
/// been
///   there or not, and sinks put it in by its key. It sees no deletes.
/// - A diff poll gives `insert`, `update` and `erase` with whole rows before and after. A row whose last delivery is in
///   doubt (a crash came between) comes as an `update` without `before`, or an `erase` that names its key only.
/// - Several changes of a row between two polls are one event. There are no transactions.
///
/// A position says how much was delivered; the cursors, fingerprints and snapshots that belong to it stay in the
/// stores, and reach them only once it is acknowledged (law 5.1). So a crash re-reads and delivers some changes again,
/// as the rows then are, and loses none. Whoever streams must acknowledge: until then what a diff poll delivered is
/// held in memory.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "tidegate/core/schema.h"
#include "tidegate/core/state_store.h"
#include "tidegate/source/backoff.h"
#include "tidegate/source/ingest_config.h"
#include "tidegate/source/snapshot_store.h"
#include "tidegate/source/sync_source.h"

namespace tidegate {

struct PollingSourceOptions {
  std::shared_ptr<StateStore> state{};         ///< null: memory, and then a restart needs a new baseline
  std::shared_ptr<SnapshotStore> snapshots{};  ///< null: memory, and likewise for diff tables
  /// Tables' columns, with their row id columns as primary key. A table that is not listed is learned from its first
  /// rows; a column or kind seen later arrives as a schemaChange.
  std::vector<TableSchema> schemas{};
  std::size_t learnRows = 1'000;  ///< rows read to learn a table
  std::size_t batchEvents = 1'000;
  BackoffOptions backoff{};  ///< after connections lost; other failures wait for the next poll, and are warned of
  QueryFn readQuery{};       ///< a connection of its own for `readTable`; empty: `readTable` is refused
};

/// @thread As SyncSource. The query function is called only within the calls that are one at a time.
class PollingSource final : public SyncSource {
 public:
  /// @throws Error{invalidConfig}. Touches neither the source nor the stores.
  explicit PollingSource(IngestSourceConfig config, PollingSourceOptions options = {});
  ~PollingSource() override;

  /// Opens the stores. @throws Error{storeUnavailable, storeCorrupt}
  void init(const SourceContext& context) override;
  std::vector<TableIssue> validateTables(const std::vector<std::string>& tables) override;
  Shape describeTable(const std::string& table) override;
  Position baseline(const std::vector<std::string>& tables, const ChangeHandler& handler,
                    std::stop_token stop) override;
  /// Polls at once and then after each `interval`, which runs from the end of one poll to the start of the next.
  void stream(const std::vector<std::string>& tables, const Position& from, const ChangeHandler& handler,
              std::stop_token stop) override;
  /// Reaches the stores with the next poll, or with `close`.
  void ack(const Position& position) override;
  Position lastAckedPosition() const override;
  bool supportsResume() const override;
  std::partial_ordering comparePositions(const Position& a, const Position& b) const override;
  Position meet(const Position& a, const Position& b) const override;
  std::string positionToText(const Position& position) const override;
  Position positionFromText(std::string_view text) const override;
  /// perTable: a row's changes come in their order; those of different tables as they are polled.
  OrderingGuarantee orderingGuarantee() const override { return OrderingGuarantee::perTable; }
  void pause() override;
  void resume() override;
  SourceState state() const override;
  /// `time`: since the start of the last poll that read every table. What waits in the database is not known.
  SourceLag lag() const override;
  void close() override;
  std::unique_ptr<RowStream> readTable(const std::string& table, std::stop_token stop) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tidegate
