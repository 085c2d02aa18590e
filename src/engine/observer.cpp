#include "tidegate/engine/observer.h"

#include <utility>

namespace tidegate {

using View = std::string_view;
using Millis = std::chrono::milliseconds;

void EngineObserver::onSourceState(View, const SourceStateChange&) {}
void EngineObserver::onTableIssue(View, const TableIssue&) {}
void EngineObserver::onWarning(View, View) {}
void EngineObserver::onLag(View, const SourceLag&) {}
void EngineObserver::onAck(View, View) {}
void EngineObserver::onPositionLost(View, const Error&) {}
void EngineObserver::onPipelineState(View, PipelineState, PipelineState, View) {}
void EngineObserver::onBaselineBegin(View, View) {}
void EngineObserver::onBaselineProgress(View, View, std::uint64_t) {}
void EngineObserver::onBaselineEnd(View, View, std::uint64_t) {}
void EngineObserver::onSchemaChange(View, View, const SchemaChange&) {}
void EngineObserver::onCommit(View, std::uint64_t, std::chrono::microseconds) {}
void EngineObserver::onRetry(View, const Error&, std::uint32_t, Millis) {}
void EngineObserver::onDeadLetter(View, const DeadLetter&) {}
void EngineObserver::onIsolated(View, const Error&) {}
void EngineObserver::onDropped(View, std::uint64_t) {}
void EngineObserver::onExpired(View, View, std::uint64_t) {}

namespace {

class SeveralObservers final : public EngineObserver {
 public:
  explicit SeveralObservers(std::vector<std::shared_ptr<EngineObserver>> all) {
    for (auto& one : all) {
      if (one) all_.push_back(std::move(one));
    }
  }

  void onSourceState(View source, const SourceStateChange& change) override {
    tell([&](EngineObserver& o) { o.onSourceState(source, change); });
  }
  void onTableIssue(View source, const TableIssue& issue) override {
    tell([&](EngineObserver& o) { o.onTableIssue(source, issue); });
  }
  void onWarning(View who, View message) override {
    tell([&](EngineObserver& o) { o.onWarning(who, message); });
  }
  void onLag(View source, const SourceLag& lag) override {
    tell([&](EngineObserver& o) { o.onLag(source, lag); });
  }
  void onAck(View source, View position) override {
    tell([&](EngineObserver& o) { o.onAck(source, position); });
  }
  void onPositionLost(View source, const Error& error) override {
    tell([&](EngineObserver& o) { o.onPositionLost(source, error); });
  }
  void onPipelineState(View pipeline, PipelineState from, PipelineState to, View reason) override {
    tell([&](EngineObserver& o) { o.onPipelineState(pipeline, from, to, reason); });
  }
  void onBaselineBegin(View pipeline, View table) override {
    tell([&](EngineObserver& o) { o.onBaselineBegin(pipeline, table); });
  }
  void onBaselineProgress(View pipeline, View table, std::uint64_t rows) override {
    tell([&](EngineObserver& o) { o.onBaselineProgress(pipeline, table, rows); });
  }
  void onBaselineEnd(View pipeline, View table, std::uint64_t rows) override {
    tell([&](EngineObserver& o) { o.onBaselineEnd(pipeline, table, rows); });
  }
  void onSchemaChange(View pipeline, View table, const SchemaChange& change) override {
    tell([&](EngineObserver& o) { o.onSchemaChange(pipeline, table, change); });
  }
  void onCommit(View pipeline, std::uint64_t events, std::chrono::microseconds duration) override {
    tell([&](EngineObserver& o) { o.onCommit(pipeline, events, duration); });
  }
  void onRetry(View pipeline, const Error& error, std::uint32_t attempt, Millis delay) override {
    tell([&](EngineObserver& o) { o.onRetry(pipeline, error, attempt, delay); });
  }
  void onDeadLetter(View pipeline, const DeadLetter& letter) override {
    tell([&](EngineObserver& o) { o.onDeadLetter(pipeline, letter); });
  }
  void onIsolated(View pipeline, const Error& error) override {
    tell([&](EngineObserver& o) { o.onIsolated(pipeline, error); });
  }
  void onDropped(View pipeline, std::uint64_t events) override {
    tell([&](EngineObserver& o) { o.onDropped(pipeline, events); });
  }
  void onExpired(View pipeline, View table, std::uint64_t rows) override {
    tell([&](EngineObserver& o) { o.onExpired(pipeline, table, rows); });
  }

 private:
  template <class Call>
  void tell(const Call& call) {
    for (const auto& one : all_) call(*one);
  }
  std::vector<std::shared_ptr<EngineObserver>> all_;
};

}  // namespace

std::shared_ptr<EngineObserver> observers(std::vector<std::shared_ptr<EngineObserver>> all) {
  return std::make_shared<SeveralObservers>(std::move(all));
}

}  // namespace tidegate
