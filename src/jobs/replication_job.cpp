#include "tidegate/jobs/replication_job.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "tidegate/core/error.h"
#include "tidegate/jobs/cron.h"

namespace tidegate {
namespace job_detail {

constexpr std::size_t kMostNameBytes = 64, kMostBatch = 10'000, kMostPages = 1'000'000, kMostColumns = 2'000;
constexpr std::size_t kMostTextBytes = 4'096;  // of a DSN, a host, a password
constexpr std::chrono::hours kMostTime{24 * 3'650};

/// Complains with the job's and the field's names.
class JobCheck {
 public:
  explicit JobCheck(std::string job) : job_(std::move(job)) {}

  void require(bool holds, std::string_view field, const std::string& why) const {
    if (holds) return;
    throw Error(ErrorCode::invalidConfig, Retry::never, fmt::format("job \"{}\": {} {}", job_, field, why));
  }
  void identifier(std::string_view name, std::string_view field) const {
    try {
      quoteIdentifier(Dialect::sqlite, name);
    } catch (const Error& e) {
      require(false, field, "cannot be a name: " + e.message());
    }
  }
  void identifiers(const std::vector<std::string>& names, std::string_view field) const {
    require(names.size() <= kMostColumns, field, fmt::format("names over {} columns", kMostColumns));
    std::set<std::string_view> seen;
    for (const std::string& name : names) {
      identifier(name, field);
      require(seen.insert(name).second, field, fmt::format("names \"{}\" twice", name));
    }
  }
  void text(std::string_view text, std::string_view field) const {
    require(text.size() <= kMostTextBytes, field, fmt::format("is over {} octets", kMostTextBytes));
    require(text.find('\0') == std::string_view::npos && isUtf8(text), field, "must be UTF-8 without NUL");
  }
  /// Repeats what another part of us found wrong, as this field's mistake.
  template <class Work>
  void part(std::string_view field, Work&& work) const {
    try {
      work();
    } catch (const Error& e) {
      require(false, field, e.message());
    }
  }

 private:
  std::string job_;
};

bool isJobName(std::string_view name) {
  return !name.empty() && name.size() <= kMostNameBytes && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

void checkSource(const JobSource& source, const JobCheck& check) {
  check.text(source.dsn, "source.dsn");
  check.text(source.host, "source.host");
  check.text(source.user, "source.user");
  check.text(source.password, "source.password");
  check.text(source.database, "source.database");
  check.text(source.caFile, "source.ca_file");
  check.text(source.certFile, "source.cert_file");
  check.text(source.keyFile, "source.key_file");
  if (source.dialect == Dialect::sqlite) {
    check.require(!source.database.empty(), "source.database", "must be the file's path");
    check.require(source.dsn.empty() && source.host.empty(), "source", "of SQLite has a database and nothing else");
  } else {
    check.require(!source.dsn.empty() || !source.host.empty(), "source", "needs a host or a dsn");
  }
}

void checkLimits(const ReplicationJob& job, const JobCheck& check) {
  const auto within = [](auto value, auto low, auto high) { return value >= low && value <= high; };
  check.require(within(job.batchSize, 1u, kMostBatch), "batch_size", fmt::format("must be 1 to {}", kMostBatch));
  check.require(within(job.pageCap, 1u, kMostPages), "page_cap", fmt::format("must be 1 to {}", kMostPages));
  check.require(within(job.lookback.count(), 0, std::chrono::milliseconds(kMostTime).count()), "lookback",
                "must be 0 s to ten years");
  check.require(within(job.lookbackRows, 1u, 1'000'000u), "lookback_rows", "must be 1 to 1000000");
  check.require(within(job.deleteCheck.count(), 0, std::chrono::seconds(kMostTime).count()), "delete_check",
                "must be 0 s to ten years");
  check.require(job.maxDeleteFraction >= 0 && job.maxDeleteFraction <= 1, "max_delete_fraction", "must be 0 to 1");
}

void checkMode(const ReplicationJob& job, const JobCheck& check) {
  const bool incremental = job.mode == JobMode::incremental;
  if (incremental) {
    check.require(!job.trackingColumn.empty(), "tracking_col", "is missing");
    check.identifier(job.trackingColumn, "tracking_col");
  } else {
    check.require(job.trackingColumn.empty(), "tracking_col", "is of mode incremental alone: leave it out");
    check.require(job.deleteCheck.count() == 0, "delete_check", "is of mode incremental alone: this one sees deletes");
    check.require(!job.commitHorizon, "commit_horizon", "is of mode incremental alone");
  }
  if (job.commitHorizon) {
    check.require(job.source.dialect != Dialect::sqlite, "commit_horizon", "is for Postgres, MySQL and MariaDB");
    check.require(job.trackingType == TrackingType::timestamp, "commit_horizon", "needs a time to track");
  }
  if (job.mode == JobMode::cdc) {
    check.require(job.cron.empty(), "cron_tab", "is not of mode cdc, which follows the source all the time");
    check.require(job.source.dialect == Dialect::postgres, "mode", "cdc is for Postgres");
    check.require(job.primaryKey.empty(), "primary_key", "is not of mode cdc, which goes by the replica identity");
    return;
  }
  check.require(!job.cron.empty(), "cron_tab", "is missing");
  check.part("cron_tab", [&] { Cron::parse(job.cron); });
}

}  // namespace job_detail

std::string ReplicationJob::targetTable() const {
  if (!target.empty()) return target;
  const std::size_t dot = table.find('.');
  return dot == std::string::npos ? table : table.substr(dot + 1);
}

void validate(const ReplicationJob& job) {
  using namespace job_detail;
  if (!isJobName(job.name)) {
    throw Error(ErrorCode::invalidConfig, Retry::never,
                fmt::format("a job's name has 1 to {} of A-Z a-z 0-9 _ -", kMostNameBytes));
  }
  const JobCheck check(job.name);
  checkSource(job.source, check);
  check.identifier(job.table, "table_name");
  check.identifier(job.targetTable(), "target_table");
  check.identifiers(job.columns, "columns");
  check.identifiers(job.primaryKey, "primary_key");
  checkLimits(job, check);
  checkMode(job, check);
  check.part("time_zone", [&] { TimeZone::load(job.timeZone); });
}

std::string_view toString(JobTls tls) noexcept {
  switch (tls) {
    case JobTls::off:
      return "off";
    case JobTls::verifyFull:
      return "verify_full";
    case JobTls::verifyCa:
      return "verify_ca";
    case JobTls::requireUnverified:
      return "require_unverified";
  }
  return "";
}

std::string_view toString(TrackingType type) noexcept { return type == TrackingType::id ? "id" : "timestamp"; }

std::string_view toString(JobMode mode) noexcept {
  switch (mode) {
    case JobMode::incremental:
      return "incremental";
    case JobMode::diff:
      return "diff";
    case JobMode::cdc:
      return "cdc";
  }
  return "";
}

std::string_view toString(CatchUp catchUp) noexcept { return catchUp == CatchUp::run ? "run" : "skip"; }

std::string_view toString(JobState state) noexcept {
  switch (state) {
    case JobState::idle:
      return "idle";
    case JobState::running:
      return "running";
    case JobState::streaming:
      return "streaming";
    case JobState::backingOff:
      return "backing_off";
    case JobState::paused:
      return "paused";
  }
  return "";
}

std::string_view toString(RunTrigger trigger) noexcept {
  switch (trigger) {
    case RunTrigger::schedule:
      return "schedule";
    case RunTrigger::catchUp:
      return "catch_up";
    case RunTrigger::manual:
      return "manual";
    case RunTrigger::retry:
      return "retry";
    case RunTrigger::goOn:
      return "go_on";
    case RunTrigger::stream:
      return "stream";
  }
  return "";
}

std::string_view toString(RunOutcome outcome) noexcept {
  switch (outcome) {
    case RunOutcome::running:
      return "running";
    case RunOutcome::ok:
      return "ok";
    case RunOutcome::failed:
      return "failed";
    case RunOutcome::cancelled:
      return "cancelled";
    case RunOutcome::interrupted:
      return "interrupted";
  }
  return "";
}

}  // namespace tidegate
