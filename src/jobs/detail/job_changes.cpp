#include "jobs/detail/job_changes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <random>

#include "jobs/detail/job_json.h"
#include "jobs/detail/job_plan.h"
#include "jobs/detail/job_secrets.h"
#include "jobs/detail/job_streams.h"
#include "tidegate/core/error.h"

namespace tidegate::detail {
namespace changes_detail {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

/// As SQLite compares names of tables.
std::string folded(std::string_view name) {
  std::string out(name);
  std::transform(out.begin(), out.end(), out.begin(), lower);
  return out;
}

void checkTarget(JobsCore& core, const ReplicationJob& job) {
  const std::string target = folded(job.targetTable());
  const auto refuse = [&](const std::string& why) {
    throw Error(ErrorCode::invalidConfig, Retry::never,
                fmt::format("job \"{}\": target_table \"{}\" {}", job.name, job.targetTable(), why));
  };
  if (target.starts_with("sqlite_") || target.starts_with("_tidegate_")) {
    refuse("is a reserved name: choose another");
  }
  for (const std::string& reserved : core.options.reservedTargets) {
    if (folded(reserved) == target) refuse("is reserved by the host: choose another");
  }
  for (const JobRecord& other : core.book.all([](const std::string&, const Error&) {})) {
    if (other.job.name == job.name || folded(other.job.targetTable()) != target) continue;
    refuse(fmt::format("is written by job \"{}\": choose another, or remove that job", other.job.name));
  }
}

/// Secrets that were only shown are those that are kept.
void takeKeptSecrets(const JobRecord* before, const JobKey& key, ReplicationJob& job) {
  const bool passwordShown = job.source.password == kHidden;
  const bool dsnShown = job.source.dsn.find(kHidden) != std::string::npos;
  if (!passwordShown && !dsnShown) return;
  if (before == nullptr) {
    throw Error(
        ErrorCode::invalidConfig, Retry::never,
        fmt::format("job \"{}\": source: \"{}\" stands for a secret that is not kept yet: give it", job.name, kHidden));
  }
  const JobSource kept = openSource(*before, key);
  // A secret is for the server it was given for, and is not sent to another one that somebody names.
  const JobSource& now = job.source;
  const bool same = now.dialect == kept.dialect && now.host == kept.host && now.port == kept.port &&
                    redactSecrets(now.dsn) == redactSecrets(kept.dsn);
  if (!same) {
    throw Error(ErrorCode::invalidConfig, Retry::never,
                fmt::format("job \"{}\": source: another server needs its secrets given again", job.name));
  }
  if (passwordShown) job.source.password = kept.password;
  if (dsnShown) job.source.dsn = kept.dsn;
}

/// Columns that rows which were streamed before do not have: the stream goes on where it was, and its pipeline sees
/// that the table is another one by the next change that comes. Other modes warn at the run that reads them first.
void warnOfWiderStream(const ReplicationJob& before, const ReplicationJob& job, const JobTable& table,
                       std::vector<std::string>& warnings) {
  if (before.mode != JobMode::cdc || job.mode != JobMode::cdc || before.columns.empty()) return;
  const auto contains = [](const std::vector<std::string>& names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  std::vector<std::string> fresh;
  for (const ColumnSchema& column : table.schema.columns) {
    const bool read = job.columns.empty() || contains(job.columns, column.name);
    const bool wasRead = contains(before.columns, column.name) || contains(table.schema.primaryKey, column.name) ||
                         contains(table.identity, column.name);
    if (read && !wasRead) fresh.push_back(column.name);
  }
  if (fresh.empty()) return;
  warnings.push_back(
      fmt::format("new in the replica: {}; rows that were read before lack them until the next change of the table, "
                  "which has all rows read again: reset the job to read them at once",
                  fmt::join(fresh, ", ")));
}

/// @param before null: none, or one whose rows are read again.
void checkSource(JobsCore& core, const ReplicationJob* before, const ReplicationJob& job,
                 std::vector<std::string>& warnings) {
  const JobDriver& driver = core.driverOf(job);
  const QueryFn query = driver.connect(job.source);
  const JobTable table = driver.describe(query, job.table, {});
  if (job.mode == JobMode::cdc) {
    if (!driver.stream) {
      throw Error(ErrorCode::invalidConfig, Retry::never,
                  fmt::format("job \"{}\": mode cdc needs a change stream, which this driver has not", job.name));
    }
    const auto stream = driver.stream(
        job.source, {.name = streamName(job.name), .table = table.schema.table, .columns = streamColumns(job, table)});
    stream->init({.name = job.name});
    for (const TableIssue& issue : stream->validateTables({table.schema.table})) {
      if (issue.fatal) throw Error(issue.code, Retry::afterOperator, issue.message);
      warnings.push_back(issue.message);
    }
    stream->close();
    if (before != nullptr) warnOfWiderStream(*before, job, table, warnings);
    return;
  }
  const JobPlan plan = planJob(job, table);
  warnings.insert(warnings.end(), plan.warnings.begin(), plan.warnings.end());
}

std::string change(std::string_view field, std::string_view before, std::string_view after) {
  return fmt::format("{} changed from \"{}\" to \"{}\"", field, before, after);
}

/// One that no job of that name had before: the replica still holds the place of a job that was removed, and it is not
/// this one's.
std::uint64_t newGeneration() {
  std::random_device random;
  return (std::uint64_t{random() & 0x1F'FFFF} << 32 | random()) + 1;
}

}  // namespace changes_detail

std::string resetReason(const ReplicationJob& a, const ReplicationJob& b) {
  using changes_detail::change;
  // Who asks and how does not make it another database.
  const auto where = [](const JobSource& s) {
    return fmt::format("{} {} {}:{}/{}", toString(s.dialect), redactSecrets(s.dsn), s.host, s.port, s.database);
  };
  if (where(a.source) != where(b.source)) return change("source", where(a.source), where(b.source));
  if (a.table != b.table) return change("table_name", a.table, b.table);
  // Before the tracking column, which modes have or have not.
  if (a.mode != b.mode) return change("mode", toString(a.mode), toString(b.mode));
  if (a.trackingColumn != b.trackingColumn) return change("tracking_col", a.trackingColumn, b.trackingColumn);
  if (a.targetTable() != b.targetTable()) return change("target_table", a.targetTable(), b.targetTable());
  if (a.primaryKey != b.primaryKey) {
    return change("primary_key", fmt::format("{}", fmt::join(a.primaryKey, ", ")),
                  fmt::format("{}", fmt::join(b.primaryKey, ", ")));
  }
  return "";
}

CheckedJob checkJob(JobsCore& core, ReplicationJob job) {
  using namespace changes_detail;
  validate(job);
  const auto before = core.book.find(job.name);
  takeKeptSecrets(before ? &*before : nullptr, core.options.key, job);
  checkTarget(core, job);
  CheckedJob out;
  out.outcome.created = !before;
  if (before) {
    out.outcome.resetReason = resetReason(before->job, redacted(job));
    out.outcome.cursorReset = !out.outcome.resetReason.empty();
  }
  try {
    const bool goesOn = before && !out.outcome.cursorReset;
    checkSource(core, goesOn ? &before->job : nullptr, job, out.outcome.warnings);
  } catch (const Error& e) {
    throw Error(e.code(), e.retry(), withoutSecrets(e.message(), job.source));
  }
  for (std::string& warning : out.outcome.warnings) warning = withoutSecrets(warning, job.source);
  out.job = std::move(job);
  return out;
}

JobRecord recordFor(const ReplicationJob& job, const JobKey& key, const JobRecord* before, Clock::Micros now) {
  using changes_detail::newGeneration;
  JobRecord record;
  if (before != nullptr) record = *before;
  const ReplicationJob old = record.job;
  hideSecrets(job, key, record);
  if (before == nullptr) {
    record.createdAt = record.handled = now;
    record.generation = newGeneration();
    return record;
  }
  if (!resetReason(old, record.job).empty()) {
    ++record.generation;
    record.cursor.reset();
    record.lastDeleteCheck.reset();
    record.goOn = false;
  }
  // Ticks of a schedule that was not there have not been missed.
  if (old.cron != job.cron || old.timeZone != job.timeZone) record.handled = now;
  record.failures = 0;
  record.retryAt.reset();
  return record;
}

}  // namespace tidegate::detail
