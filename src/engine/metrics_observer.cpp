/// Counters of everything an engine tells, in Prometheus's text format.
#include <fmt/format.h>

#include <array>
#include <map>
#include <mutex>

#include "tidegate/engine/observer.h"

namespace tidegate {
namespace {

using std::string_view;

/// Labels as they are written: `pipeline="replica",table="users"`.
using Labels = std::string;

void appendLabel(string_view name, string_view value, std::string& out) {
  if (!out.empty()) out += ',';
  out.append(name).append("=\"");
  for (const char c : value) {
    if (c == '\\')
      out += "\\\\";
    else if (c == '"')
      out += "\\\"";
    else if (c == '\n')
      out += "\\n";
    else
      out += c;
  }
  out += '"';
}

Labels labels(string_view name, string_view value) {
  Labels out;
  appendLabel(name, value, out);
  return out;
}

Labels labels(string_view name, string_view value, string_view name2, string_view value2) {
  Labels out = labels(name, value);
  appendLabel(name2, value2, out);
  return out;
}

/// One metric with a value for each set of labels.
struct Metric {
  const char* help;
  const char* type;
  std::map<Labels, double> values{};
};

class Metrics final : public MetricsObserver {
 public:
  std::string text() const override {
    const std::lock_guard lock(mutex_);
    std::string out;
    for (const auto& [name, metric] : metrics_) {
      if (metric.values.empty()) continue;
      out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, metric.help, name, metric.type);
      for (const auto& [label, value] : metric.values) out += fmt::format("{}{{{}}} {}\n", name, label, value);
    }
    return out;
  }

  void onSourceState(string_view source, const SourceStateChange& change) override {
    add("tidegate_source_state_changes_total", labels("source", source, "to", toString(change.to)));
    set("tidegate_source_state", labels("source", source, "state", toString(change.from)), 0);
    set("tidegate_source_state", labels("source", source, "state", toString(change.to)), 1);
  }
  void onTableIssue(string_view source, const TableIssue& issue) override {
    add("tidegate_table_issues_total", labels("source", source, "table", issue.table));
  }
  void onWarning(string_view who, string_view) override { add("tidegate_warnings_total", labels("name", who)); }
  void onLag(string_view source, const SourceLag& lag) override {
    if (lag.bytes) set("tidegate_source_lag_bytes", labels("source", source), static_cast<double>(*lag.bytes));
    if (lag.time) {
      set("tidegate_source_lag_seconds", labels("source", source), static_cast<double>(lag.time->count()) / 1000.0);
    }
    if (lag.records) set("tidegate_source_lag_records", labels("source", source), static_cast<double>(*lag.records));
    if (lag.retainedBytes) {
      set("tidegate_source_retained_bytes", labels("source", source), static_cast<double>(*lag.retainedBytes));
    }
  }
  void onAck(string_view source, string_view) override { add("tidegate_acks_total", labels("source", source)); }
  void onPositionLost(string_view source, const Error&) override {
    add("tidegate_positions_lost_total", labels("source", source));
  }
  void onPipelineState(string_view pipeline, PipelineState from, PipelineState to, string_view) override {
    set("tidegate_pipeline_state", labels("pipeline", pipeline, "state", toString(from)), 0);
    set("tidegate_pipeline_state", labels("pipeline", pipeline, "state", toString(to)), 1);
  }
  void onBaselineBegin(string_view pipeline, string_view table) override {
    set("tidegate_baseline_rows", labels("pipeline", pipeline, "table", table), 0);
  }
  void onBaselineProgress(string_view pipeline, string_view table, std::uint64_t rows) override {
    set("tidegate_baseline_rows", labels("pipeline", pipeline, "table", table), static_cast<double>(rows));
  }
  void onBaselineEnd(string_view pipeline, string_view table, std::uint64_t rows) override {
    set("tidegate_baseline_rows", labels("pipeline", pipeline, "table", table), static_cast<double>(rows));
    add("tidegate_baselines_total", labels("pipeline", pipeline, "table", table));
  }
  void onSchemaChange(string_view pipeline, string_view table, const SchemaChange&) override {
    add("tidegate_schema_changes_total", labels("pipeline", pipeline, "table", table));
  }
  void onCommit(string_view pipeline, std::uint64_t events, std::chrono::microseconds duration) override {
    add("tidegate_commits_total", labels("pipeline", pipeline));
    add("tidegate_events_total", labels("pipeline", pipeline), static_cast<double>(events));
    add("tidegate_commit_seconds_total", labels("pipeline", pipeline), static_cast<double>(duration.count()) / 1e6);
  }
  void onRetry(string_view pipeline, const Error& error, std::uint32_t, std::chrono::milliseconds) override {
    add("tidegate_retries_total", labels("pipeline", pipeline, "code", toString(error.code())));
  }
  void onDeadLetter(string_view pipeline, const DeadLetter&) override {
    add("tidegate_dead_letters_total", labels("pipeline", pipeline));
  }
  void onIsolated(string_view pipeline, const Error&) override {
    add("tidegate_isolations_total", labels("pipeline", pipeline));
  }
  void onDropped(string_view pipeline, std::uint64_t events) override {
    add("tidegate_dropped_events_total", labels("pipeline", pipeline), static_cast<double>(events));
  }
  void onExpired(string_view pipeline, string_view table, std::uint64_t rows) override {
    add("tidegate_expired_rows_total", labels("pipeline", pipeline, "table", table), static_cast<double>(rows));
  }

 private:
  void add(const char* name, const Labels& label, double by = 1) {
    const std::lock_guard lock(mutex_);
    metrics_.at(name).values[label] += by;
  }
  void set(const char* name, const Labels& label, double value) {
    const std::lock_guard lock(mutex_);
    metrics_.at(name).values[label] = value;
  }

  mutable std::mutex mutex_;
  std::map<std::string, Metric, std::less<>> metrics_{
      {"tidegate_acks_total", {"Positions acknowledged to the source.", "counter"}},
      {"tidegate_baseline_rows", {"Rows of the last baseline.", "gauge"}},
      {"tidegate_baselines_total", {"Baselines that became whole.", "counter"}},
      {"tidegate_commit_seconds_total", {"Time spent in commits of the sink.", "counter"}},
      {"tidegate_commits_total", {"Units of work made durable.", "counter"}},
      {"tidegate_dead_letters_total", {"Changes moved to the dead letters.", "counter"}},
      {"tidegate_dropped_events_total", {"Events thrown away by a full queue.", "counter"}},
      {"tidegate_events_total", {"Events made durable.", "counter"}},
      {"tidegate_expired_rows_total", {"Rows that became too old.", "counter"}},
      {"tidegate_isolations_total", {"Times that the pipeline was isolated.", "counter"}},
      {"tidegate_pipeline_state", {"1 for the state that the pipeline is in.", "gauge"}},
      {"tidegate_positions_lost_total", {"Times that the source lost its place.", "counter"}},
      {"tidegate_retries_total", {"Failures of the sink that are tried again.", "counter"}},
      {"tidegate_schema_changes_total", {"Changes of a table's columns.", "counter"}},
      {"tidegate_source_lag_bytes", {"Log between what was delivered and the database's end.", "gauge"}},
      {"tidegate_source_lag_records", {"Records that wait to be delivered, perhaps an estimate.", "gauge"}},
      {"tidegate_source_lag_seconds", {"Age of the last delivered change, 0 if none waits.", "gauge"}},
      {"tidegate_source_retained_bytes", {"Log that the database keeps for the source.", "gauge"}},
      {"tidegate_source_state", {"1 for the state that the source is in.", "gauge"}},
      {"tidegate_source_state_changes_total", {"Steps of the source's state machine.", "counter"}},
      {"tidegate_table_issues_total", {"Reasons why a table cannot be read well.", "counter"}},
      {"tidegate_warnings_total", {"Warnings.", "counter"}},
  };  ///< guarded by mutex_
};

}  // namespace

std::shared_ptr<MetricsObserver> metricsObserver() { return std::make_shared<Metrics>(); }

}  // namespace tidegate
