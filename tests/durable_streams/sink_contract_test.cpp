#include "contract/sink_contract.h"

#include "durable_streams/detail/entity_view.h"
#include "durable_streams/detail/make_sink.h"
#include "durable_streams/detail/sink_journal.h"
#include "tidegate/durable_streams/sink.h"

namespace tidegate::contract {
namespace {

using durable_streams::StreamLayout;
using durable_streams::StreamStore;
namespace streams = durable_streams;

/// Loses the answer of the next append after it happened, as a network would.
class LosingLog final : public streams::detail::StreamLog {
 public:
  LosingLog(std::unique_ptr<StreamLog> inner, std::shared_ptr<int> appendsUntilLoss)
      : inner_(std::move(inner)), left_(std::move(appendsUntilLoss)) {}
  bool create(const std::string& path, std::stop_token stop) override { return inner_->create(path, stop); }
  streams::detail::LogAppended append(const std::string& path, const std::vector<std::string>& messages,
                                      const streams::WriteStamp& stamp, std::stop_token stop) override {
    const bool lost = *left_ > 0 && --*left_ == 0;
    const auto done = inner_->append(path, messages, stamp, stop);
    if (lost) throw Error(ErrorCode::connectionFailed, Retry::outcomeUnknown, "the answer was lost");
    return done;
  }
  std::string read(const std::string& path, const std::string& from,
                   const std::function<void(std::string_view)>& onMessage, std::stop_token stop) override {
    return inner_->read(path, from, onMessage, stop);
  }
  void remove(const std::string& path, std::stop_token stop) override { inner_->remove(path, stop); }

 private:
  std::unique_ptr<StreamLog> inner_;
  std::shared_ptr<int> left_;
};

/// A store in memory. Small bounds, so that the suite also goes through parts that are written before the commit, read
/// back from the journal, and through new segments.
class StreamTarget final : public SinkTarget {
 public:
  StreamTarget(StreamLayout layout, std::size_t bound) : layout_(layout), bound_(bound) {}

  std::shared_ptr<Sink> sink() override {
    streams::SinkOptions options{.store = store_, .layout = layout_};
    options.batchBytes = options.pendingBytes = options.segmentBytes = bound_;
    return streams::detail::makeSink(options, [store = store_, left = left_] {
      return std::make_unique<LosingLog>(streams::detail::storeLog(store), left);
    });
  }
  /// What the stream comes to for any reader of the State Protocol.
  std::vector<Values> rows(const Shape& shape) override {
    const std::string& table = shape->schema.table;
    const std::string path = layout_ == StreamLayout::perTable ? streams::detail::pathSegment(table) : "p";
    streams::detail::EntityView view;
    try {
      streams::detail::storeLog(store_)->read(path, {}, [&](std::string_view message) { view.take(message); }, {});
    } catch (const Error& e) {
      if (e.code() != ErrorCode::tableNotFound) throw;
    }
    std::vector<Values> found;
    for (const auto& [key, entity] : view.of(table).entities) {
      streams::rowFromJson(shape->schema, entity.value, found.emplace_back(), streams::KindMismatch::keep);
    }
    return found;
  }
  bool breakNextCommit() override {
    *left_ = 1;
    return true;
  }

 private:
  StreamLayout layout_;
  std::size_t bound_;
  std::shared_ptr<StreamStore> store_ = streams::memoryStreamStore();
  std::shared_ptr<int> left_ = std::make_shared<int>(0);
};

SinkAbilities streamAbilities() {
  SinkAbilities can;
  can.typed = false;              // JSON
  can.keepsOtherColumns = false;  // a message holds the whole row
  can.atomicCommit = false;       // a commit whose answer was lost is ended by `open`
  can.holds = [](const Value& v) {
    const auto* json = v.getIf<Json>();
    return json == nullptr || json->text != "null";  // the same as SQL's null
  };
  can.largeValueBytes = std::size_t{1} << 20;
  can.seeds = 40;
  return can;
}

TIDEGATE_SINK_CONTRACT(DurableStreamPerTable,
                       SinkCase({.name = "per_table",
                                 .make =
                                     [] { return std::make_unique<StreamTarget>(StreamLayout::perTable, 1u << 20); },
                                 .can = streamAbilities()}));
TIDEGATE_SINK_CONTRACT(DurableStreamSmallBounds,
                       SinkCase({.name = "small_bounds",
                                 .make = [] { return std::make_unique<StreamTarget>(StreamLayout::perTable, 300); },
                                 .can = streamAbilities()}));
SinkAbilities oneStreamAbilities() {
  SinkAbilities can = streamAbilities();
  can.severalPipelines = false;  // the target's reader looks at one pipeline's stream
  return can;
}
TIDEGATE_SINK_CONTRACT(DurableStreamPerPipeline,
                       SinkCase({.name = "per_pipeline",
                                 .make =
                                     [] { return std::make_unique<StreamTarget>(StreamLayout::perPipeline, 2'000); },
                                 .can = oneStreamAbilities()}));

}  // namespace
}  // namespace tidegate::contract
