#include "jobs/detail/job_streams.h"

#include <fmt/format.h>

#include <algorithm>

#include "jobs/detail/job_plan.h"
#include "jobs/detail/job_secrets.h"
#include "tidegate/core/delta.h"
#include "tidegate/core/error.h"

namespace tidegate::detail {
namespace streams_detail {

constexpr std::chrono::seconds kStopTime{10};

/// Warnings of an engine are the job's.
class StreamObserver final : public EngineObserver {
 public:
  StreamObserver(const JobsCore& core, std::string job, JobSource source)
      : core_(core), job_(std::move(job)), source_(std::move(source)) {}
  void onWarning(std::string_view, std::string_view message) override {
    core_.warn(job_, withoutSecrets(message, source_));
  }
  void onTableIssue(std::string_view, const TableIssue& issue) override {
    core_.warn(job_, withoutSecrets(issue.message, source_));
  }

 private:
  const JobsCore& core_;
  const std::string job_;
  const JobSource source_;
};

EngineOptions engineFor(const JobsCore& core, const JobRecord& record, const ReplicationJob& job,
                        const JobDriver& driver) {
  if (!driver.stream) {
    throw Error(ErrorCode::invalidConfig, Retry::never,
                fmt::format("job \"{}\": the driver has no change stream: choose another mode", job.name));
  }
  const JobTable table = driver.describe(driver.connect(job.source), job.table, {});
  PipelineSpec pipeline{.name = fmt::format("job-cdc:{}:{}", job.name, record.generation),
                        .source = job.name,
                        .tables = {{.table = table.schema.table, .target = job.targetTable()}},
                        .sink = core.options.replica()};
  EngineOptions options;
  options.sources.push_back({.name = job.name,
                             .source = driver.stream(job.source, {.name = streamName(job.name),
                                                                  .table = table.schema.table,
                                                                  .columns = streamColumns(job, table)})});
  options.pipelines.push_back(std::move(pipeline));
  options.observer = std::make_shared<StreamObserver>(core, job.name, job.source);
  options.clock = core.options.clock;
  options.scheduler = core.options.scheduler;
  options.jitterSeed = core.options.jitterSeed;
  return options;
}

}  // namespace streams_detail

std::string streamName(const std::string& job) {
  // Lower case and short, with the name's hash: two jobs never meet.
  std::string name = "tidegate_job_";
  for (const char c : job.substr(0, 32)) {
    const bool upper = c >= 'A' && c <= 'Z';
    name += upper ? static_cast<char>(c - 'A' + 'a') : (c == '-' ? '_' : c);
  }
  const auto hash = sha256(job);
  for (std::size_t i = 0; i < 4; ++i) name += fmt::format("{}{:02x}", i == 0 ? "_" : "", hash[i]);
  return name;
}

void dropStream(const JobDriver& driver, const ReplicationJob& job, const JobSource& source) {
  if (!driver.stream) return;
  const auto stream = driver.stream(source, {.name = streamName(job.name), .table = job.table});
  stream->init({.name = job.name});
  stream->reset();
  stream->close();
}

void JobStreams::begin(Claim claim) {
  using namespace streams_detail;
  Stream stream{std::move(claim), {}, nullptr};
  std::optional<Error> failure;
  try {
    core_.tell([&](JobObserver& observer) { observer.onRunBegan(stream.claim.active->job, stream.claim.active->run); });
    stream.source = openSource(stream.claim.record, core_.options.key);
    ReplicationJob job = stream.claim.record.job;
    job.source = stream.source;
    stream.engine = std::make_unique<Engine>(engineFor(core_, stream.claim.record, job, core_.driverOf(job)));
    stream.engine->start();
  } catch (const Error& e) {
    failure = e;
  } catch (const std::exception& e) {
    failure = Error(ErrorCode::internal, Retry::later, e.what());
  }
  if (failure) return end(stream, *failure);
  streams_.insert_or_assign(stream.claim.active->job, std::move(stream));
}

RunResult JobStreams::reached(const Stream& stream) const {
  RunResult out;
  if (!stream.engine) return out;
  for (const PipelineStatus& pipeline : stream.engine->status().pipelines) {
    out.rowsRead = out.rowsSynced = pipeline.applied;
    out.pages = pipeline.commits;
    if (!pipeline.durablePosition.empty()) out.cursor = pipeline.durablePosition;
  }
  return out;
}

void JobStreams::end(Stream& stream, const Error& failure) {
  if (stream.engine) stream.engine->stop(streams_detail::kStopTime);
  const RunResult result = reached(stream);
  const Error told(failure.code(), failure.retry(), withoutSecrets(failure.message(), stream.source));
  core_.finish(stream.claim, stream.claim.active->run, result, told);
}

bool JobStreams::watch(Stream& stream) {
  if (stream.claim.active->stop.stop_requested()) {
    end(stream, Error(ErrorCode::queryCancelled, Retry::later, "the stream was ended"));
    return false;
  }
  const EngineStatus status = stream.engine->status();
  std::optional<std::string> failure;
  for (const PipelineStatus& pipeline : status.pipelines) {
    if (pipeline.state == PipelineState::isolated || pipeline.state == PipelineState::stopped) {
      failure = pipeline.lastError.value_or("its pipeline stopped");
    }
  }
  if (failure) {
    end(stream, Error(ErrorCode::queryFailed, Retry::later, *failure));
    return false;
  }
  core_.progressed(*stream.claim.active, reached(stream));
  return true;
}

void JobStreams::step() {
  for (auto at = streams_.begin(); at != streams_.end();) {
    at = watch(at->second) ? std::next(at) : streams_.erase(at);
  }
  for (Claim& claim : core_.takeStreams()) begin(std::move(claim));
}

void JobStreams::stop() {
  for (auto& [name, stream] : streams_) {
    stream.claim.active->stop.request_stop();
    end(stream, Error(ErrorCode::queryCancelled, Retry::later, "the stream was ended"));
  }
  streams_.clear();
}

}  // namespace tidegate::detail
