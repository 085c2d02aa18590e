#include "contract/sink_contract.h"

#include "nats/detail/read_table.h"
#include "nats/nats_rig.h"
#include "tidegate/nats/sink.h"

namespace tidegate::contract {
namespace {

/// A server of this test's own: each target begins with no stream.
class NatsTarget final : public SinkTarget {
 public:
  explicit NatsTarget(nats::SinkOptions options) : options_(std::move(options)) {
    options_.connect = nats::testing::serverOptions();
    options_.stream.storage = nats::Storage::memory;
    servers_.removeStreams();
  }

  std::shared_ptr<Sink> sink() override { return nats::sink(options_); }
  /// What any reader of the streams comes to: what no commit counts is not there.
  std::vector<Values> rows(const Shape& shape) override {
    std::vector<Values> found;
    for (const std::string& stream : servers_.streams()) {
      nats::detail::FoldedStream folded(std::size_t{1} << 30);
      nats::detail::foldStream(servers_.js(), stream, folded, {});
      for (Values& row : folded.fold.rowsOf(*shape)) found.push_back(std::move(row));
    }
    return found;
  }

 private:
  nats::SinkOptions options_;
  nats::testing::Servers servers_;
};

SinkAbilities natsAbilities() {
  SinkAbilities can;
  can.typed = false;              // any value in any column
  can.keepsOtherColumns = false;  // a table's columns are those of its newest shape
  can.largeValueBytes = std::size_t{2} << 20;
  can.seeds = 4;  // more by TIDEGATE_SEEDS=n
  return can;
}

template <nats::Body body, std::size_t pendingBytes, std::uint32_t buckets>
std::unique_ptr<SinkTarget> natsTarget() {
  return std::make_unique<NatsTarget>(
      nats::SinkOptions{.body = body, .buckets = buckets, .pendingBytes = pendingBytes});
}

TIDEGATE_SINK_CONTRACT(
    NatsJson, SinkCase({.name = "json", .make = natsTarget<nats::Body::json, 16u << 20, 0>, .can = natsAbilities()}));
// Small bounds: most units are written before their commit.
TIDEGATE_SINK_CONTRACT(NatsPacked, SinkCase({.name = "packed_small_bounds",
                                             .make = natsTarget<nats::Body::packed, 1'000, 4>,
                                             .can = natsAbilities()}));

}  // namespace
}  // namespace tidegate::contract
