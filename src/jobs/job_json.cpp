#include "jobs/detail/job_json.h"

#include <fmt/format.h>

#include <cmath>

#include "tidegate/core/error.h"

namespace tidegate {
namespace detail {
namespace {

using Tree = nlohmann::ordered_json;

std::string isoOf(Clock::Micros moment) { return toIso(Timestamp::utc(moment.count())); }

Tree optionalTime(const std::optional<Clock::Micros>& moment) { return moment ? Tree(isoOf(*moment)) : Tree(nullptr); }

template <class T>
Tree optionalValue(const std::optional<T>& value) {
  return value ? Tree(*value) : Tree(nullptr);
}

Clock::Micros timeFrom(const nlohmann::json& tree) {
  Timestamp at;
  if (!parseTimestamp(tree.get<std::string>(), at)) {
    throw Error(ErrorCode::storeCorrupt, Retry::afterOperator, "a run's time cannot be read");
  }
  return Clock::Micros(at.micros);
}

std::string_view dialectName(Dialect dialect) {
  return dialect == Dialect::postgres ? "postgresql" : toString(dialect);
}

Tree sourceTree(const JobSource& source) {
  Tree out;
  out["dialect"] = dialectName(source.dialect);
  out["dsn"] = redactSecrets(source.dsn);
  out["host"] = source.host;
  out["port"] = source.port;
  out["user"] = source.user;
  out["password"] = source.password.empty() ? "" : kHidden;
  out["database"] = source.database;
  out["tls"] = source.tls ? Tree(toString(*source.tls)) : Tree(nullptr);
  out["ca_file"] = source.caFile;
  out["cert_file"] = source.certFile;
  out["key_file"] = source.keyFile;
  return out;
}

template <class Enum>
Enum enumFrom(const nlohmann::json& tree, std::initializer_list<Enum> values) {
  for (const Enum each : values) {
    if (tree.get_ref<const std::string&>() == toString(each)) return each;
  }
  throw Error(ErrorCode::storeCorrupt, Retry::afterOperator, "a run holds a word that is not known");
}

nlohmann::json parsedTree(std::string_view json) {
  auto tree = nlohmann::json::parse(json, nullptr, false);
  if (tree.is_discarded()) throw Error(ErrorCode::invalidConfig, Retry::never, "job: is not JSON");
  return tree;
}

/// Texts from outside may hold octets that are no UTF-8; JSON has none.
std::string dumped(const Tree& tree) { return tree.dump(-1, ' ', false, Tree::error_handler_t::replace); }

Tree statusTree(const JobStatus& status) {
  Tree out = jobTree(status.job);
  out["state"] = toString(status.state);
  out["created_at"] = isoOf(status.createdAt);
  out["cursor"] = optionalValue(status.cursor);
  out["rows_synced"] = status.rowsSynced;
  out["rows_deleted"] = status.rowsDeleted;
  out["runs"] = status.runs;
  out["failures"] = status.failures;
  out["last_run_at"] = optionalTime(status.lastRunAt);
  out["last_success_at"] = optionalTime(status.lastSuccessAt);
  out["last_error"] = optionalValue(status.lastError);
  out["next_run_at"] = optionalTime(status.nextRunAt);
  out["previous_tick"] = optionalTime(status.previousTick);
  out["next_tick"] = optionalTime(status.nextTick);
  out["current"] = status.current ? runTree(*status.current) : Tree(nullptr);
  return out;
}

}  // namespace

ReplicationJob redacted(ReplicationJob job) {
  job.source.dsn = redactSecrets(job.source.dsn);
  if (!job.source.password.empty()) job.source.password = kHidden;
  return job;
}

Tree jobTree(const ReplicationJob& job) {
  Tree out;
  out["name"] = job.name;
  out["source"] = sourceTree(job.source);
  out["table_name"] = job.table;
  out["tracking_col"] = job.trackingColumn;
  out["tracking_type"] = toString(job.trackingType);
  out["cron_tab"] = job.cron;
  out["time_zone"] = job.timeZone;
  out["target_table"] = job.target;
  out["columns"] = job.columns;
  out["primary_key"] = job.primaryKey;
  out["batch_size"] = job.batchSize;
  out["page_cap"] = job.pageCap;
  out["mode"] = toString(job.mode);
  out["lookback"] = static_cast<double>(job.lookback.count()) / 1'000;
  out["lookback_rows"] = job.lookbackRows;
  out["commit_horizon"] = job.commitHorizon;
  out["delete_check"] = job.deleteCheck.count();
  out["max_delete_fraction"] = job.maxDeleteFraction;
  out["catch_up"] = toString(job.catchUp);
  return out;
}

Tree runTree(const JobRun& run) {
  Tree out;
  out["id"] = run.id;
  out["trigger"] = toString(run.trigger);
  out["outcome"] = toString(run.outcome);
  out["tick"] = optionalTime(run.tick);
  out["started_at"] = isoOf(run.startedAt);
  out["duration_ms"] = static_cast<double>(run.duration.count()) / 1'000;
  out["pages"] = run.pages;
  out["rows_read"] = run.rowsRead;
  out["rows_synced"] = run.rowsSynced;
  out["rows_deleted"] = run.rowsDeleted;
  out["more"] = run.more;
  out["error"] = optionalValue(run.error);
  out["warnings"] = run.warnings;
  return out;
}

JobRun runFromTree(const nlohmann::json& tree) {
  JobRun run;
  run.id = tree.at("id").get<std::uint64_t>();
  run.trigger = enumFrom(tree.at("trigger"), {RunTrigger::schedule, RunTrigger::catchUp, RunTrigger::manual,
                                              RunTrigger::retry, RunTrigger::goOn, RunTrigger::stream});
  run.outcome = enumFrom(tree.at("outcome"), {RunOutcome::running, RunOutcome::ok, RunOutcome::failed,
                                              RunOutcome::cancelled, RunOutcome::interrupted});
  if (!tree.at("tick").is_null()) run.tick = timeFrom(tree.at("tick"));
  run.startedAt = timeFrom(tree.at("started_at"));
  run.duration = std::chrono::microseconds(std::llround(tree.at("duration_ms").get<double>() * 1'000));
  run.pages = tree.at("pages").get<std::uint64_t>();
  run.rowsRead = tree.at("rows_read").get<std::uint64_t>();
  run.rowsSynced = tree.at("rows_synced").get<std::uint64_t>();
  run.rowsDeleted = tree.at("rows_deleted").get<std::uint64_t>();
  run.more = tree.at("more").get<bool>();
  if (!tree.at("error").is_null()) run.error = tree.at("error").get<std::string>();
  run.warnings = tree.at("warnings").get<std::vector<std::string>>();
  return run;
}

}  // namespace detail

std::string toJson(const ReplicationJob& job) { return detail::dumped(detail::jobTree(job)); }

ReplicationJob jobFromJson(std::string_view json) {
  ReplicationJob job;  // not `{}` in the call: g++ 12 then believes that its texts are not initialised
  detail::readJob(detail::parsedTree(json), job);
  return job;
}

ReplicationJob patchedJob(ReplicationJob job, std::string_view json) {
  detail::readJob(detail::parsedTree(json), job);
  return job;
}

std::string toJson(const JobRun& run) { return detail::dumped(detail::runTree(run)); }

std::string toJson(const std::vector<JobRun>& runs) {
  detail::Tree out = detail::Tree::array();
  for (const JobRun& run : runs) out.push_back(detail::runTree(run));
  return detail::dumped(out);
}

std::string toJson(const JobStatus& status) { return detail::dumped(detail::statusTree(status)); }

std::string toJson(const std::vector<JobStatus>& jobs) {
  detail::Tree out = detail::Tree::array();
  for (const JobStatus& job : jobs) out.push_back(detail::statusTree(job));
  return detail::dumped(out);
}

std::string toJson(const JobCreated& created) {
  detail::Tree out;
  out["created"] = created.created;
  out["cursor_reset"] = created.cursorReset;
  out["reset_reason"] = created.resetReason;
  out["warnings"] = created.warnings;
  return detail::dumped(out);
}

}  // namespace tidegate
