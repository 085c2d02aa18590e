#include "contract/sink_contract.h"
#include "tidegate/sink/gateway_sink.h"

namespace tidegate::contract {

/// Refuses one commit when told.
class BreakableStore final : public GatewayStore {
 public:
  void load(const Visitor& visit) override { held_.load(visit); }
  void commit(std::span<const Segment> puts, std::span<const SegmentRef> drops) override {
    if (std::exchange(broken, false)) {
      throw Error(ErrorCode::storeUnavailable, Retry::later, "the disk is full; free some");
    }
    held_.commit(puts, drops);
  }
  bool broken = false;

 private:
  MemoryGatewayStore held_;
};

class GatewayTarget final : public SinkTarget {
 public:
  std::shared_ptr<Sink> sink() override { return std::make_shared<GatewaySink>(gateway_); }
  std::vector<Values> rows(const Shape& shape) override {
    std::vector<Values> found;
    GatewaySnapshot snapshot = gateway_.snapshot();
    for (RowDelta delta; snapshot.next(delta);) {
      if (delta.table != shape->schema.table) continue;
      Values& row = found.emplace_back();
      for (const std::string& name : shape->columns->names()) {
        const auto at = std::find_if(delta.columns.begin(), delta.columns.end(),
                                     [&](const ColumnValue& c) { return c.column == name; });
        row.push_back(at != delta.columns.end() ? at->value : Value());
      }
    }
    return found;
  }
  bool breakNextCommit() override { return store_->broken = true; }

 private:
  std::shared_ptr<BreakableStore> store_ = std::make_shared<BreakableStore>();
  Gateway gateway_{{.store = store_}};
};

SinkCase gatewayCase() {
  SinkCase c{.name = "gateway", .make = [] { return std::make_unique<GatewayTarget>(); }};
  c.can.typed = false;
  c.can.seeds = 500;
  c.can.holdsKey = [](const Value& v) { return v != Value("") && v != Value(Bytes{}); };  // a row id is never empty
  return c;
}

TIDEGATE_SINK_CONTRACT(Gateway, gatewayCase());

}  // namespace tidegate::contract
