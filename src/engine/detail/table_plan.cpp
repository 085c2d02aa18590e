#include "engine/detail/table_plan.h"

#include "tidegate/core/error.h"

namespace tidegate::detail {
namespace {

constexpr std::int64_t kMicros = 1'000'000;

[[noreturn]] void refuseTtl(const TableSchema& schema, const TimeToLive& ttl, const std::string& why) {
  throw Error(ErrorCode::invalidConfig, Retry::afterOperator,
              "the time to live of table \"" + schema.table + "\", column \"" + ttl.column + "\": " + why);
}

void checkTtl(const TableSchema& schema, const TimeToLive& ttl) {
  const ColumnSchema* column = schema.find(ttl.column);
  if (column == nullptr) refuseTtl(schema, ttl, "the table has no such column");
  switch (column->kind) {
    case ValueKind::date:
    case ValueKind::timestamp:
    case ValueKind::int64:
    case ValueKind::null:
      break;
    default:
      refuseTtl(schema, ttl,
                "a " + std::string(toString(column->kind)) +
                    " is no time; choose a date, a timestamp, or an integer of Unix seconds");
  }
  if (ttl.age.count() <= 0 || ttl.sweepInterval.count() <= 0) {
    refuseTtl(schema, ttl, "age and sweepInterval must be positive");
  }
}

std::int64_t floorDiv(std::int64_t a, std::int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

bool sameTarget(const TableSchema& a, const TableSchema& b) {
  return a.columns == b.columns && a.primaryKey == b.primaryKey;
}

}  // namespace

std::string targetName(const TableRoute& route, const std::string& sourceTable) {
  if (!route.target.empty()) return route.target;
  const std::size_t dot = sourceTable.find('.');
  return dot == std::string::npos || dot + 1 == sourceTable.size() ? sourceTable : sourceTable.substr(dot + 1);
}

TablePlan::TablePlan(const TableRoute& route, Shape sourceShape)
    : source(std::move(sourceShape)),
      filter(route.filter, source->schema),
      transform(source->schema, route.transforms),
      transforms(!route.transforms.empty()) {
  if (route.ttl) {
    checkTtl(source->schema, *route.ttl);
    ttlColumn = source->columns->find(route.ttl->column);
    ttlAge = route.ttl->age;
    const auto at = transform.targetOf(*ttlColumn);
    if (!at || transform.maps(*at)) {
      refuseTtl(source->schema, *route.ttl, "the sink must keep the column as it is: do not drop or map it");
    }
    ttlTarget = transform.schema().columns[*at].name;
  }
  TableSchema schema = transform.schema();
  schema.table = targetName(route, source->schema.table);
  target = !transforms && schema.table == source->schema.table ? source : makeShape(std::move(schema));
}

Verdict TablePlan::wants(const EventRow& row, std::int64_t nowMicros) const {
  const Verdict verdict = filter.judge(row);
  if (!ttlColumn || verdict == Verdict::no) return verdict;
  if (!row.has(*ttlColumn)) return Verdict::unknown;
  const Value& time = row.values[*ttlColumn];
  const bool old = compareValues(time, ttlCutoff(time.kind(), time, nowMicros, ttlAge)) < 0;
  return old ? Verdict::no : verdict;
}

Value ttlCutoff(ValueKind kind, const Value& like, std::int64_t nowMicros, std::chrono::seconds age) {
  const std::int64_t cutoff = nowMicros - age.count() * kMicros;
  switch (kind) {
    case ValueKind::date:
      return Date{static_cast<std::int32_t>(floorDiv(cutoff, 86'400 * kMicros))};
    case ValueKind::int64:
    case ValueKind::uint64:
      return floorDiv(cutoff, kMicros);
    case ValueKind::timestamp: {
      const auto* given = like.getIf<Timestamp>();
      return Timestamp{cutoff, given == nullptr || given->hasZone};
    }
    default:
      return Null{};
  }
}

std::shared_ptr<const SchemaChange> transformedChange(const SchemaChange& change, const TablePlan* before,
                                                      const TablePlan& after) {
  if (before != nullptr && sameTarget(before->target->schema, after.target->schema)) return nullptr;
  auto made = std::make_shared<SchemaChange>();
  made->rowsChanged = change.rowsChanged;
  if (before == nullptr) return made;
  made->before = before->target;
  for (const auto& [from, to] : change.renamed) {
    const auto oldColumn = before->source->columns->find(from);
    const auto newColumn = after.source->columns->find(to);
    if (!oldColumn || !newColumn) continue;
    const auto oldTarget = before->transform.targetOf(*oldColumn);
    const auto newTarget = after.transform.targetOf(*newColumn);
    if (!oldTarget || !newTarget) continue;
    const std::string& oldName = before->target->schema.columns[*oldTarget].name;
    const std::string& newName = after.target->schema.columns[*newTarget].name;
    if (oldName != newName) made->renamed.emplace_back(oldName, newName);
  }
  return made;
}

}  // namespace tidegate::detail
