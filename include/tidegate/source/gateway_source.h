/// A gateway's log as a source, so that a gateway feeds any sink: a replica in SQLite, a cache, another gateway.
///
///     auto source = std::make_shared<GatewaySource>(gateway, GatewaySourceOptions{.schemas = {usersSchema}});
///
/// A baseline is a snapshot of the gateway's rows, the stream its log in commit order. A gateway's rows have an id and
/// columns, but no fixed schema, so:
/// - A table listed in `schemas` has those columns, and its key is read back from the row id (as `rowIdOf` wrote it).
/// - Any other table's columns are learned from its rows; its key is the row id as text, in a column of its own.
/// - A column, or a kind of value, that was not seen before arrives as a schemaChange before the row that has it.
///
/// Origin: LakeSync has no such thing; laredo's sources are databases.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "tidegate/gateway/gateway.h"
#include "tidegate/source/sync_source.h"

namespace tidegate {

struct GatewaySourceOptions {
  std::vector<TableSchema> schemas{};      ///< each with a primary key
  std::string clientId{"gateway-source"};  ///< as which it reads; one of its own for each source
  std::string rowIdColumn{"row_id"};       ///< the key column of tables without a schema
  Claims claims{};                         ///< under sync rules: whose view is read
  std::size_t batchEvents = 1'000;         ///< 1..the gateway's maxPullDeltas
};

/// Each entry of the log is one event, and a transaction of its own: the log does not say what was pushed together.
/// `positionLost` when the gateway says `mustResync`. Positions are the log's stamps, so they outlive the process where
/// the gateway has a store.
/// @thread As SyncSource. The gateway must outlive it.
class GatewaySource final : public SyncSource {
 public:
  /// @throws Error{invalidConfig} for a schema without a key, or twice the same table.
  explicit GatewaySource(Gateway& gateway, GatewaySourceOptions options = {});
  ~GatewaySource() override;

  void init(const SourceContext& context) override;
  std::vector<TableIssue> validateTables(const std::vector<std::string>& tables) override;
  /// Reads a snapshot to learn the columns of a table without a schema.
  Shape describeTable(const std::string& table) override;
  Position baseline(const std::vector<std::string>& tables, const ChangeHandler& handler,
                    std::stop_token stop) override;
  void stream(const std::vector<std::string>& tables, const Position& from, const ChangeHandler& handler,
              std::stop_token stop) override;
  void ack(const Position& position) override;
  Position lastAckedPosition() const override;
  bool supportsResume() const override { return true; }
  std::partial_ordering comparePositions(const Position& a, const Position& b) const override;
  Position meet(const Position& a, const Position& b) const override;
  std::string positionToText(const Position& position) const override;
  Position positionFromText(std::string_view text) const override;
  OrderingGuarantee orderingGuarantee() const override { return OrderingGuarantee::total; }
  void pause() override;
  void resume() override;
  SourceState state() const override;
  /// `bytes` is known only when nothing waits (0): the log is not measured from a place on.
  SourceLag lag() const override;
  void close() override;
  std::unique_ptr<RowStream> readTable(const std::string& table, std::stop_token stop) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tidegate
