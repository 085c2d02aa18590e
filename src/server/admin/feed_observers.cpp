#include <fmt/format.h>

#include <utility>

#include "server/detail/feed_state.h"

namespace tidegate::server::detail {
namespace feed_detail {

using Feed = std::shared_ptr<ChangeFeed::Impl>;
using View = std::string_view;

class FeedEngineObserver final : public EngineObserver {
 public:
  FeedEngineObserver(Feed feed, std::string engine) : feed_(std::move(feed)), engine_(std::move(engine)) {}

  void onSourceState(View source, const SourceStateChange& change) override {
    tell(source, "source",
         fmt::format("{}{}{}", toString(change.to), change.reason.empty() ? "" : ": ", change.reason));
  }
  void onTableIssue(View source, const TableIssue& issue) override { tell(source, "table issue", issue.message); }
  void onWarning(View where, View message) override { tell(where, "warning", message); }
  void onPositionLost(View source, const Error& error) override { tell(source, "position lost", error.message()); }
  void onPipelineState(View pipeline, PipelineState, PipelineState to, View reason) override {
    tell(pipeline, "pipeline", fmt::format("{}{}{}", toString(to), reason.empty() ? "" : ": ", reason));
  }
  void onBaselineBegin(View pipeline, View table) override {
    tell(pipeline, "baseline", fmt::format("{} begins", table));
  }
  void onBaselineEnd(View pipeline, View table, std::uint64_t rows) override {
    tell(pipeline, "baseline", fmt::format("{} is whole: {} rows", table, rows));
  }
  void onSchemaChange(View pipeline, View table, const SchemaChange&) override {
    tell(pipeline, "schema change", table);
  }
  void onRetry(View pipeline, const Error& error, std::uint32_t attempt, std::chrono::milliseconds delay) override {
    tell(pipeline, "retry", fmt::format("attempt {} in {} ms: {}", attempt, delay.count(), error.message()));
  }
  void onDeadLetter(View pipeline, const DeadLetter& letter) override {
    tell(pipeline, "dead letter", fmt::format("{} {}: {}", letter.table, letter.key, letter.error));
  }
  void onIsolated(View pipeline, const Error& error) override { tell(pipeline, "isolated", error.message()); }
  void onDropped(View pipeline, std::uint64_t events) override {
    tell(pipeline, "dropped", fmt::format("{} changes, for want of room", events));
  }

 private:
  void tell(View where, View what, View text) { feed_->event(fmt::format("{}/{}", engine_, where), what, text); }

  Feed feed_;
  std::string engine_;
};

class FeedJobObserver final : public JobObserver {
 public:
  FeedJobObserver(Feed feed, std::shared_ptr<JobObserver> next) : feed_(std::move(feed)), next_(std::move(next)) {}

  void onRunBegan(View job, const JobRun& run) override {
    feed_->event(job, "run", fmt::format("{} began ({})", run.id, toString(run.trigger)));
    if (next_) next_->onRunBegan(job, run);
  }
  void onProgress(View job, const JobRun& soFar) override {
    if (next_) next_->onProgress(job, soFar);
  }
  void onRunEnded(View job, const JobRun& run) override {
    const std::string outcome =
        run.error ? fmt::format("{} {}: {}", run.id, toString(run.outcome), *run.error)
                  : fmt::format("{} {}: {} rows written, {} erased, {} ms", run.id, toString(run.outcome),
                                run.rowsSynced, run.rowsDeleted, run.duration.count() / 1'000);
    feed_->event(job, "run", outcome);
    for (const std::string& warning : run.warnings) feed_->event(job, "warning", warning);
    if (next_) next_->onRunEnded(job, run);
  }
  void onWarning(View job, View message) override {
    feed_->event(job, "warning", message);
    if (next_) next_->onWarning(job, message);
  }

 private:
  Feed feed_;
  std::shared_ptr<JobObserver> next_;
};

std::string keyOf(const ChangeEvent& event) {
  constexpr std::size_t kMostKeyBytes = 200;
  const std::vector<Value>& row = event.after.empty() ? event.before : event.after;
  std::string out;
  for (const std::uint32_t column : event.shape->key) {
    if (column >= row.size() || out.size() > kMostKeyBytes) break;
    if (!out.empty()) out += ", ";
    out += event.shape->schema.columns[column].name + "=" + describe(row[column]);
  }
  return out;
}

/// Notes what is applied, and tells it once it is committed. Of a large unit only the last are noted, so that a
/// baseline of a million rows costs a hundred entries.
class FeedSink final : public Sink {
 public:
  FeedSink(Feed feed, std::shared_ptr<Sink> sink) : feed_(std::move(feed)), sink_(std::move(sink)) {}

  SinkTraits traits() const override { return sink_->traits(); }
  std::optional<std::string> open(const SinkContext& context) override {
    pipeline_ = context.pipeline;
    forget();
    return sink_->open(context);
  }
  void prepareTable(const Shape& shape) override { sink_->prepareTable(shape); }
  void apply(const ChangeBatch& batch) override {
    try {
      sink_->apply(batch);
    } catch (...) {
      forget();
      throw;
    }
    noteLast(batch);
  }
  void commit(std::string_view checkpoint) override {
    try {
      sink_->commit(checkpoint);
    } catch (...) {
      forget();
      throw;
    }
    if (!noted_.empty()) feed_->changes(std::move(noted_), more_);
    forget();
  }
  void rollback() noexcept override {
    forget();
    sink_->rollback();
  }
  void close() noexcept override {
    forget();
    sink_->close();
  }
  std::unique_ptr<RowStream> readTable(const Shape& shape, std::stop_token stop) override {
    return sink_->readTable(shape, std::move(stop));
  }
  std::uint64_t expire(const Shape& shape, std::string_view column, const Value& cutoff) override {
    return sink_->expire(shape, column, cutoff);
  }

 private:
  static bool isRowChange(ChangeOp op) {
    return op == ChangeOp::insert || op == ChangeOp::update || op == ChangeOp::erase || op == ChangeOp::read ||
           op == ChangeOp::truncate;
  }
  void noteLast(const ChangeBatch& batch) {
    const std::size_t keep = feed_->options.keep;
    const std::size_t from = batch.size() > keep ? batch.size() - keep : 0;
    more_ += from;
    for (std::size_t i = from; i < batch.size(); ++i) {
      const ChangeEvent& event = batch[i];
      if (!event.shape || !isRowChange(event.op)) continue;
      noted_.push_back({.isChange = true,
                        .where = pipeline_,
                        .what = std::string(toString(event.op)),
                        .table = event.shape->schema.table,
                        .key = keyOf(event)});
      if (noted_.size() <= keep) continue;
      noted_.pop_front();
      ++more_;
    }
  }
  void forget() noexcept {
    noted_.clear();
    more_ = 0;
  }

  Feed feed_;
  std::shared_ptr<Sink> sink_;
  std::string pipeline_;
  std::deque<FeedEntry> noted_;
  std::uint64_t more_ = 0;
};

}  // namespace feed_detail

std::shared_ptr<EngineObserver> feedEngineObserver(std::shared_ptr<ChangeFeed::Impl> feed, std::string engine) {
  return std::make_shared<feed_detail::FeedEngineObserver>(std::move(feed), std::move(engine));
}

std::shared_ptr<JobObserver> feedJobObserver(std::shared_ptr<ChangeFeed::Impl> feed,
                                             std::shared_ptr<JobObserver> next) {
  return std::make_shared<feed_detail::FeedJobObserver>(std::move(feed), std::move(next));
}

std::shared_ptr<Sink> feedSink(std::shared_ptr<ChangeFeed::Impl> feed, std::shared_ptr<Sink> sink) {
  return std::make_shared<feed_detail::FeedSink>(std::move(feed), std::move(sink));
}

}  // namespace tidegate::server::detail
