#include <spdlog/spdlog.h>

#include "tidegate/engine/observer.h"

namespace tidegate {
namespace {

using std::string_view;

class LogObserver final : public EngineObserver {
 public:
  void onSourceState(string_view source, const SourceStateChange& change) override {
    const auto level = change.to == SourceState::error ? spdlog::level::err : spdlog::level::info;
    spdlog::log(level, "source {}: {} -> {}: {}", source, toString(change.from), toString(change.to), change.reason);
  }
  void onTableIssue(string_view source, const TableIssue& issue) override {
    spdlog::log(issue.fatal ? spdlog::level::err : spdlog::level::warn, "source {}:{}{} {}: {}", source,
                issue.table.empty() ? "" : " table ", issue.table, toString(issue.code), issue.message);
  }
  void onWarning(string_view who, string_view message) override { spdlog::warn("{}: {}", who, message); }
  void onLag(string_view source, const SourceLag& lag) override {
    spdlog::debug("source {}: lag {} bytes, {} ms; {} bytes retained", source, lag.bytes.value_or(0),
                  lag.time ? lag.time->count() : 0, lag.retainedBytes.value_or(0));
  }
  void onAck(string_view source, string_view position) override {
    spdlog::debug("source {}: acknowledged {}", source, position);
  }
  void onPositionLost(string_view source, const Error& error) override {
    spdlog::error("source {}: lost its place: {}", source, error.what());
  }
  void onPipelineState(string_view pipeline, PipelineState from, PipelineState to, string_view reason) override {
    spdlog::info("pipeline {}: {} -> {}: {}", pipeline, toString(from), toString(to), reason);
  }
  void onBaselineBegin(string_view pipeline, string_view table) override {
    spdlog::info("pipeline {}: baseline of {} begins", pipeline, table);
  }
  void onBaselineProgress(string_view pipeline, string_view table, std::uint64_t rows) override {
    spdlog::debug("pipeline {}: baseline of {}: {} rows", pipeline, table, rows);
  }
  void onBaselineEnd(string_view pipeline, string_view table, std::uint64_t rows) override {
    spdlog::info("pipeline {}: baseline of {} is whole: {} rows", pipeline, table, rows);
  }
  void onSchemaChange(string_view pipeline, string_view table, const SchemaChange& change) override {
    spdlog::info("pipeline {}: table {} changed its columns{}", pipeline, table,
                 change.rowsChanged ? ", and values that no event brings" : "");
  }
  void onCommit(string_view pipeline, std::uint64_t events, std::chrono::microseconds duration) override {
    spdlog::debug("pipeline {}: {} events durable in {} us", pipeline, events, duration.count());
  }
  void onRetry(string_view pipeline, const Error& error, std::uint32_t attempt,
               std::chrono::milliseconds delay) override {
    spdlog::warn("pipeline {}: failure {}, again in {} ms: {}", pipeline, attempt, delay.count(), error.what());
  }
  void onDeadLetter(string_view pipeline, const DeadLetter& letter) override {
    spdlog::warn("pipeline {}: a change of {} ({}) at {} went to the dead letters: {}", pipeline, letter.table,
                 letter.key, letter.positionText, letter.error);
  }
  void onIsolated(string_view pipeline, const Error& error) override {
    spdlog::error("pipeline {}: isolated: {}", pipeline, error.what());
  }
  void onDropped(string_view pipeline, std::uint64_t events) override {
    spdlog::warn("pipeline {}: its queue was full; {} events were thrown away", pipeline, events);
  }
  void onExpired(string_view pipeline, string_view table, std::uint64_t rows) override {
    spdlog::debug("pipeline {}: {} rows of {} became too old", pipeline, rows, table);
  }
};

}  // namespace

std::shared_ptr<EngineObserver> logObserver() { return std::make_shared<LogObserver>(); }

}  // namespace tidegate
