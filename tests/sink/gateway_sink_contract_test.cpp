#include "contract/sink_contract.h"
#include "tidegate/sink/gateway_sink.h"

namespace tidegate::contract {

/// Refuses one `put` when told.
class BreakableStore final : public StateStore {
 public:
  std::optional<std::string> get(std::string_view key) override { return held_.get(key); }
  void put(std::string_view key, std::string_view octets) override {
    if (std::exchange(broken, false)) {
      throw Error(ErrorCode::storeUnavailable, Retry::later, "the disk is full; free some");
    }
    held_.put(key, octets);
  }
  void remove(std::string_view key) override { held_.remove(key); }
  bool broken = false;

 private:
  MemoryStateStore held_;
};

class GatewayTarget final : public SinkTarget {
 public:
  std::shared_ptr<Sink> sink() override {
    return std::make_shared<GatewaySink>(gateway_, GatewaySinkOptions{.state = store_, .pushDeltas = 3});
  }
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
  Gateway gateway_;
  std::shared_ptr<BreakableStore> store_ = std::make_shared<BreakableStore>();
};

SinkCase gatewayCase() {
  SinkCase c{.name = "gateway", .make = [] { return std::make_unique<GatewayTarget>(); }};
  c.can.typed = false;
  c.can.atomicCommit = false;
  c.can.seeds = 500;
  c.can.holdsKey = [](const Value& v) { return v != Value("") && v != Value(Bytes{}); };  // a row id is never empty
  return c;
}

TIDEGATE_SINK_CONTRACT(Gateway, gatewayCase());

}  // namespace tidegate::contract
