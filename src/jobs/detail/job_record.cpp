#include "jobs/detail/job_record.h"

#include <fmt/format.h>

#include "jobs/detail/job_json.h"
#include "tidegate/core/error.h"

namespace tidegate::detail {
namespace record_detail {

using nlohmann::json;

constexpr int kRecordVersion = 1;

json microsOf(const std::optional<Clock::Micros>& at) { return at ? json(at->count()) : json(nullptr); }

std::optional<Clock::Micros> microsFrom(const json& tree) {
  if (tree.is_null()) return std::nullopt;
  return Clock::Micros(tree.get<std::int64_t>());
}

json textOf(const std::optional<std::string>& text) { return text ? json(*text) : json(nullptr); }

std::optional<std::string> textFrom(const json& tree) {
  if (tree.is_null()) return std::nullopt;
  return tree.get<std::string>();
}

std::string contextOf(std::string_view job) { return fmt::format("tidegate job {}", job); }

JobRecord fromTree(const json& tree) {
  JobRecord record;
  readJob(tree.at("job"), record.job);
  // As they were shown: `readJob` would not take them.
  record.job.source.dsn = tree.at("job").at("source").at("dsn").get<std::string>();
  record.job.source.password = tree.at("job").at("source").at("password").get<std::string>();
  record.sealed = tree.at("sealed").get<std::string>();
  record.generation = tree.at("generation").get<std::uint64_t>();
  record.createdAt = Clock::Micros(tree.at("created_at").get<std::int64_t>());
  record.handled = Clock::Micros(tree.at("handled").get<std::int64_t>());
  record.paused = tree.at("paused").get<bool>();
  record.asked = tree.at("asked").get<bool>();
  record.goOn = tree.at("go_on").get<bool>();
  record.rowsSynced = tree.at("rows_synced").get<std::uint64_t>();
  record.rowsDeleted = tree.at("rows_deleted").get<std::uint64_t>();
  record.runs = tree.at("runs").get<std::uint64_t>();
  record.failures = tree.at("failures").get<std::uint32_t>();
  record.retries = tree.at("retries").get<bool>();
  record.retryAt = microsFrom(tree.at("retry_at"));
  record.lastRunAt = microsFrom(tree.at("last_run_at"));
  record.lastSuccessAt = microsFrom(tree.at("last_success_at"));
  record.lastDeleteCheck = microsFrom(tree.at("last_delete_check"));
  record.lastError = textFrom(tree.at("last_error"));
  record.cursor = textFrom(tree.at("cursor"));
  record.lastRunId = tree.at("last_run_id").get<std::uint64_t>();
  record.lastEpoch = tree.at("last_epoch").get<std::uint64_t>();
  if (const json& lease = tree.at("lease"); !lease.is_null()) {
    record.lease = JobLease{lease.at("owner").get<std::string>(), lease.at("epoch").get<std::uint64_t>(),
                            lease.at("beat").get<std::uint64_t>()};
  }
  if (const json& current = tree.at("current"); !current.is_null()) record.current = runFromTree(current);
  return record;
}

}  // namespace record_detail

using namespace record_detail;

std::string encodeRecord(const JobRecord& r) {
  nlohmann::ordered_json tree;
  tree["version"] = kRecordVersion;
  tree["job"] = jobTree(r.job);
  tree["sealed"] = r.sealed;
  tree["generation"] = r.generation;
  tree["created_at"] = r.createdAt.count();
  tree["handled"] = r.handled.count();
  tree["paused"] = r.paused;
  tree["asked"] = r.asked;
  tree["go_on"] = r.goOn;
  tree["rows_synced"] = r.rowsSynced;
  tree["rows_deleted"] = r.rowsDeleted;
  tree["runs"] = r.runs;
  tree["failures"] = r.failures;
  tree["retries"] = r.retries;
  tree["retry_at"] = microsOf(r.retryAt);
  tree["last_run_at"] = microsOf(r.lastRunAt);
  tree["last_success_at"] = microsOf(r.lastSuccessAt);
  tree["last_delete_check"] = microsOf(r.lastDeleteCheck);
  tree["last_error"] = textOf(r.lastError);
  tree["cursor"] = textOf(r.cursor);
  tree["last_run_id"] = r.lastRunId;
  tree["last_epoch"] = r.lastEpoch;
  tree["lease"] = nullptr;
  if (r.lease) tree["lease"] = {{"owner", r.lease->owner}, {"epoch", r.lease->epoch}, {"beat", r.lease->beat}};
  tree["current"] = r.current ? runTree(*r.current) : nlohmann::ordered_json(nullptr);
  return tree.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

JobRecord decodeRecord(std::string_view name, std::string_view text) {
  try {
    const auto tree = nlohmann::json::parse(text);
    if (tree.at("version").get<int>() == kRecordVersion) return fromTree(tree);
  } catch (const nlohmann::json::exception&) {
  } catch (const Error&) {
  }
  throw Error(ErrorCode::storeCorrupt, Retry::afterOperator,
              fmt::format("job \"{}\": its record cannot be read: restore the job store from a backup, or remove the "
                          "job and make it again",
                          name));
}

void hideSecrets(ReplicationJob job, const JobKey& key, JobRecord& record) {
  const nlohmann::json secrets = {{"dsn", job.source.dsn}, {"password", job.source.password}};
  record.sealed = key.seal(secrets.dump(), contextOf(job.name));
  record.job = redacted(std::move(job));
}

JobSource openSource(const JobRecord& record, const JobKey& key) {
  JobSource source = record.job.source;
  try {
    const auto secrets = nlohmann::json::parse(key.open(record.sealed, contextOf(record.job.name)));
    source.dsn = secrets.at("dsn").get<std::string>();
    source.password = secrets.at("password").get<std::string>();
  } catch (const nlohmann::json::exception&) {
    throw Error(ErrorCode::storeCorrupt, Retry::afterOperator,
                fmt::format("job \"{}\": its secrets cannot be read: give them again", record.job.name));
  }
  return source;
}

}  // namespace tidegate::detail
