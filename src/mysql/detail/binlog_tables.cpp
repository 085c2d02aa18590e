#include "mysql/detail/binlog_tables.h"

#include <fmt/format.h>

#include <algorithm>

#include "mysql/detail/column_change.h"
#include "mysql/detail/octet_cursor.h"
#include "tidegate/core/error.h"

namespace tidegate::mysql::detail {
namespace {

constexpr std::uint32_t kBinary = 63;
/// Ids of tables that were altered or closed since are never sent again.
constexpr std::size_t kMaxIds = 20'000;

/// The column of that name, if it can stand so in the binlog.
const CatalogueColumn* suitingColumn(const std::vector<CatalogueColumn>& columns, const WireColumn& wire) {
  for (const CatalogueColumn& column : columns) {
    if (column.name == wire.name) return suits(wire, column) ? &column : nullptr;
  }
  return nullptr;
}

/// What the binlog alone says of a column, in the catalogue's words.
CatalogueColumn columnOf(const WireColumn& wire, const CellPlan& plan) {
  CatalogueColumn column{.name = wire.name, .nullable = wire.nullable, .filled = true};
  switch (wire.type) {
    case WireType::tiny:
    case WireType::shortInteger:
    case WireType::int24:
    case WireType::longInteger:
    case WireType::year:
      column.dataType = "int";
      break;
    case WireType::longLong:
      column.dataType = "bigint";
      break;
    case WireType::bit:
      column.dataType = "bit";
      column.columnType = wire.meta == 8 ? "bit(64)" : "bit";
      return column;
    case WireType::decimal:
      column.dataType = "decimal";
      column.columnType = fmt::format("decimal({},{})", wire.meta / 256, wire.meta % 256);
      return column;
    case WireType::floating:
    case WireType::doubling:
      column.dataType = "double";
      break;
    case WireType::date:
    case WireType::newDate:
      column.dataType = "date";
      break;
    case WireType::time:
    case WireType::time2:
      column.dataType = "time";
      break;
    case WireType::dateTime:
    case WireType::dateTime2:
      column.dataType = "datetime";
      break;
    case WireType::timestamp:
    case WireType::timestamp2:
      column.dataType = "timestamp";
      break;
    case WireType::json:
      column.dataType = "json";
      break;
    default:
      column.dataType = isText(wire.type) && plan.meaning == CellMeaning::bytes ? "longblob" : "longtext";
  }
  column.columnType = column.dataType + (plan.isUnsigned ? " unsigned" : "");
  return column;
}

[[noreturn]] void refuseDescription(const TableName& name) {
  throw Error(
      ErrorCode::positionLost, Retry::afterOperator,
      fmt::format("table {} had other columns when rows were logged than it has now, and the binlog does not say "
                  "their names; a new baseline is needed. It would say them with: SET GLOBAL "
                  "binlog_row_metadata = FULL",
                  name.full()));
}

}  // namespace

void BinlogTables::want(std::vector<TableName> tables) {
  wanted_ = std::move(tables);
  indexNames();
}

void BinlogTables::fold(NameFold fold) {
  fold_ = std::move(fold);
  indexNames();
}

void BinlogTables::indexNames() {
  folded_.clear();
  forgetIds();
  for (const TableName& name : wanted_) {
    const auto [at, added] = folded_.emplace(fold_(name), name);
    if (added || at->second == name) continue;
    throw Error(ErrorCode::invalidConfig, Retry::never,
                fmt::format("{} and {} are one table: the server does not tell names apart by their case; call it by "
                            "one name",
                            at->second.full(), name.full()));
  }
}

const TableName* BinlogTables::wantedAs(const TableName& name) {
  const auto at = folded_.find(fold_(name));
  return at == folded_.end() ? nullptr : &at->second;
}

TableName BinlogTables::known(const TableName& name) {
  const TableName folded = fold_(name);
  const auto at = folded_.find(folded);
  return at == folded_.end() ? folded : at->second;
}

void BinlogTables::take(const BinlogEvent& event) {
  if (last_ != nullptr && last_->description == event.body) return;
  const TableMapHead head = readTableMapHead(event);
  if (byId_.size() > kMaxIds) forgetIds();
  last_ = &byId_[head.id];
  lastId_ = head.id;
  if (last_->description == event.body) return;
  const TableName* const name = wantedAs({std::string(head.database), std::string(head.table)});
  last_->binding = name != nullptr ? bind(readTableMap(head, mariaDb_), *name) : nullptr;
  last_->description = event.body;
}

TableBinding* BinlogTables::find(std::uint64_t id) {
  if (last_ != nullptr && lastId_ == id) return last_->binding.get();
  const auto at = byId_.find(id);
  if (at == byId_.end()) refuseOctets("rows of a table that was not described");
  last_ = &at->second;
  lastId_ = id;
  return last_->binding.get();
}

void BinlogTables::told(TableBinding& binding) {
  binding.pending.reset();
  ToldTable& told = told_[binding.name];
  told = {binding.shape, binding.columns, told.guessed};
}

Shape BinlogTables::toldShape(const TableName& name) {
  const auto at = told_.find(name);
  if (at != told_.end() && at->second.shape) return at->second.shape;
  const std::optional<CatalogueTable> table = catalogue_(name);
  if (!table) return nullptr;
  told_[name] = {detail::shapeOf(*table), table->columns};
  return told_[name].shape;
}

void BinlogTables::forget(std::string_view fullName) {
  last_ = nullptr;
  for (auto& [id, known] : byId_) {
    if (known.binding && known.binding->name.full() == fullName) known.description.clear();
  }
}

std::shared_ptr<TableBinding> BinlogTables::bind(const TableMap& map, const TableName& name) {
  auto binding = std::make_shared<TableBinding>();
  binding->name = name;
  const std::optional<CatalogueTable> table = catalogue_(name);
  plan(map, table, *binding);
  if (!map.saysNames) told_[name].guessed = true;
  TableSchema schema{.table = name.full()};
  for (const CatalogueColumn& column : binding->columns) {
    schema.columns.push_back({column.name, kindOf(column), column.nullable, column.columnType});
  }
  if (map.saysNames && !map.key.empty()) {
    for (const std::uint32_t i : map.key) schema.primaryKey.push_back(binding->columns[i].name);
  } else if (!map.saysNames && table) {
    schema.primaryKey = table->key;
  }
  binding->shape = makeShape(std::move(schema));
  const auto at = told_.find(name);
  if (at == told_.end() || !at->second.shape) {
    told_[name] = {binding->shape, binding->columns, !map.saysNames};
  } else if (at->second.shape->schema == binding->shape->schema) {
    binding->shape = at->second.shape;
  } else {
    binding->pending = std::make_shared<const SchemaChange>(changeBetween(at->second, binding->columns));
  }
  return binding;
}

void BinlogTables::plan(const TableMap& map, const std::optional<CatalogueTable>& table, TableBinding& out) {
  const std::vector<CatalogueColumn>* unnamed = nullptr;
  const auto toldAt = told_.find(out.name);
  if (!map.saysNames) {
    const auto allSuit = [&](const std::vector<CatalogueColumn>& columns) {
      if (columns.size() != map.columns.size()) return false;
      for (std::size_t i = 0; i < columns.size(); ++i) {
        if (!suits(map.columns[i], columns[i])) return false;
      }
      return true;
    };
    if (toldAt != told_.end() && allSuit(toldAt->second.columns)) unnamed = &toldAt->second.columns;
    if (unnamed == nullptr && table && allSuit(table->columns)) unnamed = &table->columns;
    if (unnamed == nullptr) refuseDescription(out.name);
  }
  out.plans.resize(map.columns.size());
  for (std::size_t i = 0; i < map.columns.size(); ++i) {
    const WireColumn& wire = map.columns[i];
    // What readers were told last is nearer to the row than what the catalogue says by now.
    const CatalogueColumn* column = unnamed != nullptr ? &(*unnamed)[i] : nullptr;
    if (column == nullptr && toldAt != told_.end()) column = suitingColumn(toldAt->second.columns, wire);
    if (column == nullptr && unnamed == nullptr && table) column = suitingColumn(table->columns, wire);
    planColumn(wire, map.saysSigns, column, out.plans[i]);
    out.columns.push_back(column != nullptr ? *column : columnOf(wire, out.plans[i]));
    if (map.saysNames) out.columns.back().nullable = wire.nullable;
  }
}

void BinlogTables::planColumn(const WireColumn& wire, bool signs, const CatalogueColumn* column, CellPlan& plan) {
  plan.type = wire.type;
  plan.meta = wire.meta;
  plan.isUnsigned = signs ? wire.isUnsigned : column != nullptr && column->isUnsigned();
  const std::string type = column != nullptr ? column->dataType : std::string();
  const bool labelled = wire.type == WireType::enumeration || wire.type == WireType::set;
  std::string charset = column != nullptr ? column->charset : std::string();
  if (wire.collation != 0) charset = charsets_.nameOf(wire.collation);
  if (labelled) {
    if (wire.labels.empty()) {
      plan.labels = column != nullptr ? labelsOf(column->columnType) : std::vector<std::string>();
      return;
    }
    const auto decoder = charset.empty() || charset == "binary" ? utf8Charset() : charsets_.named(charset);
    for (const std::string& label : wire.labels) {
      Value text;
      decoder->decode(label, text);
      plan.labels.push_back(text.getIf<std::string>() != nullptr ? text.as<std::string>() : label);
    }
    return;
  }
  if (!isText(wire.type)) return;
  if (type == "uuid") plan.meaning = CellMeaning::uuid;
  if (type == "inet6") plan.meaning = CellMeaning::inet6;
  if (type == "inet4") plan.meaning = CellMeaning::inet4;
  if (plan.meaning != CellMeaning::bytes) return;
  if (charset.empty() || charset == "binary") {
    if (wire.type == WireType::string) plan.padTo = wire.meta;
    return;
  }
  plan.meaning = CellMeaning::text;
  plan.charset = charsets_.named(charset);
}

std::shared_ptr<const SchemaChange> BinlogTables::altered(const TableName& name, const Alteration& alteration,
                                                          Shape& shape) {
  forget(name.full());  // labels may have changed, which do not show in the octets
  const auto at = told_.find(name);
  const bool told = at != told_.end() && at->second.shape;
  if (!told && !alteration.known) return nullptr;
  const std::optional<CatalogueTable> table = catalogue_(name);
  if (!table) return nullptr;
  const Shape now = detail::shapeOf(*table);
  const bool guessed = told ? at->second.guessed : !logsNames_;
  const bool rowsChanged = alteration.rowsChanged || (alteration.movesColumns && guessed);
  if (!told) {
    shape = now;
    told_[name] = {now, table->columns};
    return std::make_shared<const SchemaChange>(SchemaChange{.before = nullptr, .rowsChanged = rowsChanged});
  }
  const bool same = now->schema == at->second.shape->schema;
  SchemaChange change = changeBetween(at->second, table->columns);
  change.rowsChanged = change.rowsChanged || rowsChanged;
  if (same && !change.rowsChanged) {
    at->second = {at->second.shape, table->columns};
    return nullptr;
  }
  shape = same ? at->second.shape : now;
  at->second = {shape, table->columns};
  return std::make_shared<const SchemaChange>(std::move(change));
}

}  // namespace tidegate::mysql::detail
