#include "counters.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <iterator>

using namespace tidegate;

namespace {

void head(std::string& out, std::string_view name, std::string_view type, std::string_view help) {
  fmt::format_to(std::back_inserter(out), "# HELP {0} {1}\n# TYPE {0} {2}\n", name, help, type);
}

/// A label's value: a job may be called anything.
std::string labelValue(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    out += c == '\n' ? std::string("\\n") : std::string(1, c);
  }
  return out + '"';
}

struct GatewayMetric {
  const char* name;
  const char* type;
  const char* help;
  std::uint64_t (*value)(const GatewayStats& stats);
};

constexpr GatewayMetric kGatewayMetrics[] = {
    {"tidegate_gateway_rows", "gauge", "Visible rows.", [](const GatewayStats& s) -> std::uint64_t { return s.rows; }},
    {"tidegate_gateway_bytes", "gauge", "Memory held.", [](const GatewayStats& s) -> std::uint64_t { return s.bytes; }},
    {"tidegate_gateway_log_entries", "gauge", "Entries of the log.",
     [](const GatewayStats& s) -> std::uint64_t { return s.logEntries; }},
    {"tidegate_gateway_clients", "gauge", "Clients known.",
     [](const GatewayStats& s) -> std::uint64_t { return s.clients; }},
    {"tidegate_gateway_subscribers", "gauge", "Who follows the log now.",
     [](const GatewayStats& s) -> std::uint64_t { return s.subscribers; }},
    {"tidegate_gateway_pushes_total", "counter", "Pushes.", [](const GatewayStats& s) { return s.pushes; }},
    {"tidegate_gateway_pushes_rejected_total", "counter", "Pushes of which nothing was taken.",
     [](const GatewayStats& s) { return s.pushesRejected; }},
    {"tidegate_gateway_pulls_total", "counter", "Pulls.", [](const GatewayStats& s) { return s.pulls; }},
    {"tidegate_gateway_resyncs_total", "counter", "Readers told to resync.",
     [](const GatewayStats& s) { return s.resyncs; }},
    {"tidegate_gateway_store_failures_total", "counter", "Commits that the store refused.",
     [](const GatewayStats& s) { return s.storeFailures; }},
};

}  // namespace

void JobCounters::onRunEnded(std::string_view job, const JobRun& run) {
  if (run.outcome == RunOutcome::failed) {
    spdlog::error("job {}: a run failed: {}", job, run.error.value_or("nobody knows why"));
  }
  const std::lock_guard lock(mutex_);
  Counts& counts = jobs_[std::string(job)];
  ++counts.runs[run.outcome];
  counts.synced += run.rowsSynced;
  counts.erased += run.rowsDeleted;
  counts.seconds += static_cast<double>(run.duration.count()) / 1e6;
}

void JobCounters::onWarning(std::string_view job, std::string_view warning) {
  spdlog::warn("job {}: {}", job, warning);
  const std::lock_guard lock(mutex_);
  ++jobs_[std::string(job)].warnings;
}

std::string JobCounters::text() const {
  const std::lock_guard lock(mutex_);
  std::string out;
  const auto all = [&](std::string_view name, std::string_view help, const auto& value) {
    head(out, name, "counter", help);
    for (const auto& [job, counts] : jobs_) {
      fmt::format_to(std::back_inserter(out), "{}{{job={}}} {}\n", name, labelValue(job), value(counts));
    }
  };
  head(out, "tidegate_job_runs_total", "counter", "Runs that ended.");
  for (const auto& [job, counts] : jobs_) {
    for (const auto& [outcome, runs] : counts.runs) {
      fmt::format_to(std::back_inserter(out), "tidegate_job_runs_total{{job={},outcome=\"{}\"}} {}\n", labelValue(job),
                     toString(outcome), runs);
    }
  }
  all("tidegate_job_rows_synced_total", "Rows written to the replica.", [](const Counts& c) { return c.synced; });
  all("tidegate_job_rows_deleted_total", "Rows taken out of the replica.", [](const Counts& c) { return c.erased; });
  all("tidegate_job_warnings_total", "Warnings.", [](const Counts& c) { return c.warnings; });
  all("tidegate_job_run_seconds_total", "How long runs took.", [](const Counts& c) { return c.seconds; });
  return out;
}

std::string gatewayMetrics(const std::map<std::string, const Gateway*>& gateways) {
  std::map<std::string, GatewayStats> stats;
  for (const auto& [name, gateway] : gateways) stats.emplace(name, gateway->stats());
  std::string out;
  for (const GatewayMetric& metric : kGatewayMetrics) {
    if (stats.empty()) break;
    head(out, metric.name, metric.type, metric.help);
    for (const auto& [name, each] : stats) {
      fmt::format_to(std::back_inserter(out), "{}{{gateway={}}} {}\n", metric.name, labelValue(name),
                     metric.value(each));
    }
  }
  return out;
}

std::string limitMetrics(const server::RateLimitStats& stats) {
  std::string out;
  head(out, "tidegate_limit_admitted_total", "counter", "Requests that the limits let in.");
  fmt::format_to(std::back_inserter(out), "tidegate_limit_admitted_total {}\n", stats.admitted);
  head(out, "tidegate_limit_refused_total", "counter", "Requests answered 429.");
  fmt::format_to(
      std::back_inserter(out),
      "tidegate_limit_refused_total{{by=\"client\"}} {}\ntidegate_limit_refused_total{{by=\"address\"}} {}\n",
      stats.refusedClients, stats.refusedAddresses);
  return out;
}
