/// Texts that would do harm if they were run, and the fields of a job that they are tried in.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "tidegate/jobs/replication_job.h"

namespace tidegate::test {

inline const std::vector<std::string>& injectionCorpus() {
  static const std::vector<std::string> kCorpus{
      "users; DROP TABLE canary",
      "users; DROP TABLE canary; --",
      "users\"; DROP TABLE canary; --",
      "\"users\"; DELETE FROM canary; --",
      "users' OR '1'='1",
      "users'; DELETE FROM canary; --",
      "users`; DELETE FROM canary; --",
      "users]; DELETE FROM canary; --",
      "users WHERE 1=1; UPDATE canary SET id = 9; --",
      "users UNION SELECT * FROM canary",
      "users/**/;/**/DROP/**/TABLE/**/canary",
      "users --",
      "users #",
      "users/*",
      "(SELECT name FROM canary)",
      "users, canary",
      "users\n; DROP TABLE canary",
      std::string("users\0; DROP TABLE canary", 25),
      "\\\"; DROP TABLE canary; --",
      "\"\"; DROP TABLE canary; --",
      "%s%n%x",
      "$1; DROP TABLE canary",
      "?; DROP TABLE canary",
      ":name; DROP TABLE canary",
      "main.users; DROP TABLE canary",
      "main.\"users\"; DROP TABLE canary",
      "\xC0\xA7; DROP TABLE canary",
      "users\xCA\xBC; DROP TABLE canary",
      "",
      "\"",
      "'",
      "--",
      std::string(10'000, '"'),
  };
  return kCorpus;
}

/// A field and how it is set. "name" is set by whoever tries.
struct InjectedField {
  std::string name;
  void (*set)(ReplicationJob& job, const std::string& text);
  JobMode mode = JobMode::incremental;  ///< of the job that it is tried in: each makes other SQL of it

  /// A job of that mode, from an incremental one. Some modes do without fields.
  ReplicationJob inMode(ReplicationJob job) const {
    job.mode = mode;
    if (mode != JobMode::incremental) job.trackingColumn = "";
    if (mode == JobMode::cdc) job.cron = "";
    return job;
  }

  /// Left out, some are as if nothing had been asked for.
  bool isNothing(const std::string& text) const {
    return text.empty() && (name == "tracking_col" || name == "time_zone");
  }
  /// A target may be called anything, and "--" is a name as others are.
  bool mayRun(const std::string& text) const { return name == "target_table" || (name == "name" && text == "--"); }
};

inline const std::vector<InjectedField>& injectedFields() {
  static const std::vector<InjectedField> kFields{
      {"name", [](ReplicationJob&, const std::string&) {}},
      {"table_name", [](ReplicationJob& job, const std::string& text) { job.table = text; }},
      {"target_table", [](ReplicationJob& job, const std::string& text) { job.target = text; }},
      {"tracking_col", [](ReplicationJob& job, const std::string& text) { job.trackingColumn = text; }},
      {"columns",
       [](ReplicationJob& job, const std::string& text) {
         job.columns = {"name", text};
       }},
      {"primary_key", [](ReplicationJob& job, const std::string& text) { job.primaryKey = {text}; }},
      {"primary_key second",
       [](ReplicationJob& job, const std::string& text) {
         job.primaryKey = {"id", text};
       }},
      {"cron_tab", [](ReplicationJob& job, const std::string& text) { job.cron = text; }},
      {"time_zone", [](ReplicationJob& job, const std::string& text) { job.timeZone = text; }},
  };
  return kFields;
}

/// Those that the mode makes other SQL of: `diff` pages by nothing and compares, `cdc` makes a publication and a slot.
inline std::vector<InjectedField> injectedFields(JobMode mode) {
  static const std::vector<std::string> kDiff{"table_name", "columns", "primary_key second"};
  static const std::vector<std::string> kCdc{"name", "table_name", "columns"};
  const std::vector<std::string>& known = mode == JobMode::cdc ? kCdc : kDiff;
  std::vector<InjectedField> out;
  for (InjectedField field : injectedFields()) {
    if (mode != JobMode::incremental && std::find(known.begin(), known.end(), field.name) == known.end()) continue;
    field.mode = mode;
    out.push_back(std::move(field));
  }
  return out;
}

}  // namespace tidegate::test
