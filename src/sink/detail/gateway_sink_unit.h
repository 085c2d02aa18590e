/// One unit of work of a GatewaySink, as the deltas of a single push.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "sink/detail/gateway_sink_baselines.h"
#include "tidegate/gateway/gateway.h"
#include "tidegate/source/change_event.h"

namespace tidegate::detail {

/// Something about a whole table, for which it matters what its rows are at that place.
struct GatewayStep {
  std::size_t before = 0;            ///< it comes before the unit's delta of this number
  ChangeOp op = ChangeOp::progress;  ///< truncate, baselineBegin, baselineEnd, schemaChange; progress for an expiry
  Shape shape{};
  std::shared_ptr<const SchemaChange> change{};
  std::string column{};  ///< of an expiry
  Value cutoff{};
};

/// Rows of the sender whose column is before the cutoff, as the gateway has them.
std::vector<std::string> expiredRows(const Gateway& gateway, std::string_view sender, const GatewayStep& step);

/// Deltas in order, each seen as if the ones before it had been pushed.
/// @thread The sink's.
class GatewayUnit {
 public:
  GatewayUnit(const Gateway& gateway, std::string_view sender, GatewayBaselines& baselines)
      : gateway_(gateway), sender_(sender), baselines_(baselines) {}

  /// An update that leaves columns out is dropped where its row is not there.
  void add(RowDelta delta);
  void run(const GatewayStep& step);
  std::vector<RowDelta> take() { return std::move(deltas_); }

 private:
  using RowVisitor = std::function<void(const std::string& rowId, const Row& row)>;
  std::vector<std::string> rowIds(const std::string& table) const;
  void forEachRow(const std::string& table, const RowVisitor& visit) const;
  void erase(const std::string& table, const std::string& rowId);
  void follow(const TableShape& after, const SchemaChange& change);
  void expire(const std::string& table, const GatewayStep& step);

  const Gateway& gateway_;
  const std::string_view sender_;
  GatewayBaselines& baselines_;
  std::vector<RowDelta> deltas_;
  /// By table and row, whether the unit's last delta of it left it there.
  std::unordered_map<std::string, std::unordered_map<std::string, bool>> alive_;
};

}  // namespace tidegate::detail
