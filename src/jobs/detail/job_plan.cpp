#include "jobs/detail/job_plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "tidegate/core/error.h"

namespace tidegate::detail {
namespace plan_detail {

bool contains(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

Error misfit(const ReplicationJob& job, ErrorCode code, const std::string& what) {
  return {code, Retry::afterOperator, fmt::format("job \"{}\", table \"{}\": {}", job.name, job.table, what)};
}

std::string namesOf(const TableSchema& schema) {
  std::vector<std::string> names;
  for (const ColumnSchema& column : schema.columns) names.push_back(column.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

void requireColumns(const ReplicationJob& job, const TableSchema& schema, const std::vector<std::string>& names,
                    std::string_view field) {
  for (const std::string& name : names) {
    if (schema.find(name) != nullptr) continue;
    throw misfit(job, ErrorCode::columnNotFound,
                 fmt::format("{} names \"{}\", which is no column of it; it has {}", field, name, namesOf(schema)));
  }
}

std::vector<std::string> keyOf(const ReplicationJob& job, const TableSchema& schema) {
  std::vector<std::string> key = job.primaryKey.empty() ? schema.primaryKey : job.primaryKey;
  if (key.empty()) {
    throw misfit(job, ErrorCode::invalidConfig,
                 "it has no primary key, so nothing says which row is which: name columns that do in primary_key");
  }
  return key;
}

void checkTracking(const ReplicationJob& job, const TableSchema& schema) {
  const ColumnSchema& column = *schema.find(job.trackingColumn);
  const bool number = column.kind == ValueKind::int64 || column.kind == ValueKind::uint64 ||
                      column.kind == ValueKind::real || column.kind == ValueKind::decimal;
  const bool time = column.kind == ValueKind::timestamp || column.kind == ValueKind::date;
  const std::string is = fmt::format("tracking_col \"{}\" is {}", column.name,
                                     column.sourceType.empty() ? toString(column.kind) : column.sourceType);
  if (column.kind == ValueKind::boolean || column.kind == ValueKind::json) {
    throw misfit(job, ErrorCode::typeUnsupported, is + ", which does not grow: name a time or a number");
  }
  // SQLite's types are of values, not columns: seconds in an INTEGER are a time for whoever says so.
  if (job.source.dialect == Dialect::sqlite) return;
  if (number && job.trackingType == TrackingType::timestamp) {
    throw misfit(job, ErrorCode::typeUnsupported, is + ": say tracking_type \"id\"");
  }
  if (time && job.trackingType == TrackingType::id) {
    throw misfit(job, ErrorCode::typeUnsupported, is + ": say tracking_type \"timestamp\"");
  }
}

bool indexed(const JobTable& table, std::string_view column) {
  return std::any_of(table.indexes.begin(), table.indexes.end(),
                     [&](const auto& index) { return !index.empty() && index.front() == column; });
}

void warn(const ReplicationJob& job, const JobTable& table, const std::vector<std::string>& key, JobPlan& plan) {
  if (job.mode == JobMode::incremental && !indexed(table, job.trackingColumn)) {
    plan.warnings.push_back(
        fmt::format("no index begins with \"{0}\", so each run reads the whole table: make one on "
                    "({0}, {1})",
                    job.trackingColumn, fmt::join(key, ", ")));
  }
  if (!job.primaryKey.empty() && !indexed(table, key.front())) {
    plan.warnings.push_back(fmt::format(
        "no index begins with \"{}\" of primary_key: rows that share a key would replace each other", key.front()));
  }
  for (const std::string& name : key) {
    if (!contains(table.schema.primaryKey, name) && table.schema.find(name)->nullable) {
      plan.warnings.push_back(fmt::format("\"{}\" of primary_key may be null, and such a row stops a run", name));
    }
  }
}

}  // namespace plan_detail

JobPlan planJob(const ReplicationJob& job, const JobTable& table) {
  using namespace plan_detail;
  const Dialect dialect = job.source.dialect;
  const std::vector<std::string> key = keyOf(job, table.schema);
  requireColumns(job, table.schema, key, "primary_key");
  requireColumns(job, table.schema, job.columns, "columns");
  if (job.mode == JobMode::incremental) {
    requireColumns(job, table.schema, {job.trackingColumn}, "tracking_col");
    checkTracking(job, table.schema);
  }
  JobPlan plan;
  TableSchema target{.table = job.targetTable(), .primaryKey = key};
  std::vector<std::string> chosen;
  for (const ColumnSchema& column : table.schema.columns) {
    const bool isKey = contains(key, column.name);
    if (!job.columns.empty() && !isKey && column.name != job.trackingColumn && !contains(job.columns, column.name)) {
      continue;
    }
    ColumnSchema own = column;
    // The source may give a column up, or the job may leave it out, and rows must still fit.
    own.nullable = !isKey;
    target.columns.push_back(std::move(own));
    chosen.push_back(quoteIdentifier(dialect, column.name));
  }
  plan.from = table.sqlName;
  plan.select = fmt::format("SELECT {} FROM {}", fmt::join(chosen, ", "), table.sqlName);
  for (const std::string& name : key) {
    plan.quotedKey.push_back(quoteIdentifier(dialect, name));
    plan.keyAliases.push_back(fmt::format("tidegate_key_{}", plan.keyAliases.size()));
    chosen.push_back(plan.quotedKey.back() + " AS " + quoteIdentifier(dialect, plan.keyAliases.back()));
  }
  plan.keySelect = fmt::format("SELECT {} FROM {}", fmt::join(chosen, ", "), table.sqlName);
  plan.shape = makeShape(std::move(target));
  warn(job, table, key, plan);
  return plan;
}

std::vector<std::string> streamColumns(const ReplicationJob& job, const JobTable& table) {
  using namespace plan_detail;
  requireColumns(job, table.schema, job.columns, "columns");
  if (job.columns.empty()) return {};
  if (table.identityIsWholeRow) {
    throw misfit(
        job, ErrorCode::invalidConfig,
        "its replica identity is the whole row, so the database would refuse its updates and deletes while "
        "some columns are published: leave columns out, or give it a primary key and run ALTER TABLE … REPLICA "
        "IDENTITY DEFAULT");
  }
  std::vector<std::string> out;
  for (const ColumnSchema& column : table.schema.columns) {
    if (contains(job.columns, column.name) || contains(table.schema.primaryKey, column.name) ||
        contains(table.identity, column.name)) {
      out.push_back(column.name);
    }
  }
  return out;
}

}  // namespace tidegate::detail
