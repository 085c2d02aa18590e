#include "postgres/detail/pgoutput_relations.h"

#include <fmt/format.h>

#include <algorithm>

#include "tidegate/core/error.h"

namespace tidegate::postgres::detail {
namespace {

/// nullopt for a name that nobody can ask for: a database of encoding SQL_ASCII may have tables called anything.
std::optional<std::string> fullNameIn(const PgoutputMessage& message) {
  if (!isUtf8(message.schema) || !isUtf8(message.name)) return std::nullopt;
  return fullNameOf(message.schema.empty() ? "pg_catalog" : message.schema, message.name);
}

bool sameColumns(const TableFacts& facts, const std::vector<WireColumn>& wire) {
  const auto sent = facts.sentColumns();
  return std::equal(sent.begin(), sent.end(), wire.begin(), wire.end(), [](const ColumnFacts* a, const WireColumn& b) {
    return a->name == b.name && a->type.oid == b.typeOid && a->type.modifier == b.typeModifier;
  });
}

bool sameColumns(const TableVersion& version, const std::vector<WireColumn>& wire) {
  return std::equal(version.columns.begin(), version.columns.end(), wire.begin(), wire.end(),
                    [](const ColumnVersion& a, const WireColumn& b) {
                      return a.name == b.name && a.typeOid == b.typeOid && a.typeModifier == b.typeModifier;
                    });
}

/// The version of a table's sent columns. @param past what the catalogue adds to `facts`.
TableVersion versionOf(const TableFacts& facts, const TableVersion& past) {
  TableVersion version{.highestNumber = past.highestNumber, .file = facts.file, .recent = past.recent};
  for (const ColumnFacts* column : facts.sentColumns()) {
    const auto found = std::find_if(past.columns.begin(), past.columns.end(),
                                    [&](const ColumnVersion& c) { return c.number == column->number; });
    version.columns.push_back({column->name, column->number, column->type.oid, column->type.modifier,
                               found == past.columns.end() || found->filled});
  }
  return version;
}

/// Numbers of columns that the catalogue has gone past: those of the same name and type, in the last known version.
int numberIn(const TableVersion& known, const WireColumn& wire) {
  for (const ColumnVersion& column : known.columns) {
    if (column.name == wire.name) return column.number;
  }
  return 0;
}

/// A column that was dropped and added again has another number under the same name.
bool sameNumbers(const TableVersion& a, const TableVersion& b) {
  return std::equal(a.columns.begin(), a.columns.end(), b.columns.begin(), b.columns.end(),
                    [](const ColumnVersion& x, const ColumnVersion& y) {
                      return x.number == y.number || x.number == 0 || y.number == 0;
                    });
}

bool isSame(const ToldTable& known, const Shape& shape, const TableVersion& version) {
  return known.shape->schema == shape->schema && sameNumbers(known.version, version);
}

std::shared_ptr<const SchemaChange> changeFrom(const ToldTable& known, const TableVersion& after) {
  SchemaChange change;
  change.rowsChanged = true;
  if (!known.unsure) change = schemaChangeBetween(known.shape, known.version, after);
  return std::make_shared<const SchemaChange>(std::move(change));
}

/// The shape under the name that readers know.
Shape namedAs(const std::string& name, Shape shape) {
  if (shape->schema.table == name) return shape;
  TableSchema schema = shape->schema;
  schema.table = name;
  return makeShape(std::move(schema));
}

std::vector<std::string> keyOnWire(const std::vector<std::string>& wanted, const PgoutputMessage& message) {
  const auto onWire = [&](const std::string& name) {
    return std::any_of(message.columns.begin(), message.columns.end(), [&](const auto& c) { return c.name == name; });
  };
  if (!wanted.empty() && std::all_of(wanted.begin(), wanted.end(), onWire)) return wanted;
  std::vector<std::string> key;
  if (message.replicaIdentity == 'f') return key;
  for (const WireColumn& column : message.columns) {
    if (column.identity) key.emplace_back(column.name);
  }
  return key;
}

}  // namespace

ToldTable toldTable(const TableFacts& facts, const TableVersion& past) {
  return {facts.fullName(), facts.oid, shapeOf(facts), versionOf(facts, past)};
}

void PgoutputRelations::want(const std::vector<std::string>& tables) {
  wanted_.clear();
  forgetMessages();
  for (const std::string& table : tables) {
    const auto [facts, version] = ask_.table(table);
    if (!facts) {
      throw Error(ErrorCode::tableNotFound, Retry::afterOperator,
                  fmt::format("there is no table \"{}\" to stream; check its name, its schema and search_path", table));
    }
    const auto [at, isNew] = known_.try_emplace(facts->fullName());
    if (isNew) {
      at->second = toldTable(*facts, version);
      at->second.unsure = version.recent;
    }
    wanted_[at->first] = &at->second;
  }
}

void PgoutputRelations::forgetMessages() {
  tables_.clear();
  lastOid_ = 0;
  last_ = nullptr;
}

ToldTable* PgoutputRelations::wantedBy(const PgoutputMessage& message) {
  const std::optional<std::string> name = fullNameIn(message);
  if (name) {
    const auto byName = wanted_.find(*name);
    if (byName != wanted_.end()) return byName->second;
  }
  for (const auto& [asked, known] : wanted_) {
    if (known->oid != message.relation) continue;
    renameWarning_ = fmt::format(
        "table {} is called {} now; its changes still come under the old name. Name it anew before the next start",
        asked, name.value_or("something that is no UTF-8"));
    return known;
  }
  return nullptr;
}

/// Columns that no table can have are the message's fault, not that of who asked for the table.
PgoutputRelations::Described PgoutputRelations::describe(const ToldTable& known, const PgoutputMessage& message) const {
  try {
    return describeUnchecked(known, message);
  } catch (const Error& e) {
    if (e.code() != ErrorCode::invalidArgument) throw;
    throw Error(ErrorCode::parseError, Retry::later,
                fmt::format("the server described table {} as it cannot be: {}", known.name, e.message()));
  }
}

PgoutputRelations::Described PgoutputRelations::describeUnchecked(const ToldTable& known,
                                                                  const PgoutputMessage& message) const {
  const std::optional<std::string> name = fullNameIn(message);
  const auto [facts, past] = name ? ask_.table(*name) : TableSeen{};
  if (facts && facts->oid == message.relation && sameColumns(*facts, message.columns)) {
    Described out{namedAs(known.name, shapeOf(*facts)), versionOf(*facts, past), {}};
    for (const ColumnFacts* column : facts->sentColumns()) out.types.push_back(column->type);
    return out;
  }
  // The catalogue is already elsewhere: what the message and the past say is all there is to know.
  std::vector<TypeAsked> asked;
  for (const WireColumn& column : message.columns) asked.push_back({column.typeOid, column.typeModifier});
  std::vector<TypeFacts> types = ask_.types(asked);
  if (sameColumns(known.version, message.columns)) return {known.shape, known.version, std::move(types)};
  Described out = describeByMessage(known, message, types);
  TableSchema schema = out.shape->schema;
  schema.primaryKey = keyOnWire(facts ? facts->key() : known.shape->schema.primaryKey, message);
  out.shape = makeShape(std::move(schema));
  return out;
}

PgoutputRelations::Described PgoutputRelations::describeByMessage(const ToldTable& known,
                                                                  const PgoutputMessage& message,
                                                                  const std::vector<TypeFacts>& types) const {
  Described out;
  out.types = types;
  out.version.highestNumber = known.version.highestNumber;
  TableSchema schema{.table = known.name};
  for (std::size_t i = 0; i < message.columns.size(); ++i) {
    const WireColumn& wire = message.columns[i];
    const ColumnSchema* before = known.shape->schema.find(wire.name);
    const ValueKind kind = mappingOf(types[i].baseOid, trustedEncoding_).kind;
    schema.columns.push_back({std::string(wire.name), kind, before == nullptr || before->nullable, types[i].name});
    out.version.columns.push_back(
        {std::string(wire.name), numberIn(known.version, wire), wire.typeOid, wire.typeModifier, true});
  }
  out.shape = makeShape(std::move(schema));
  return out;
}

void PgoutputRelations::take(const PgoutputMessage& message) {
  lastOid_ = 0;
  StreamTable table;
  if (ToldTable* known = wantedBy(message)) {
    Described described = describe(*known, message);
    for (const TypeFacts& type : described.types)
      table.decoders.push_back(mappingOf(type.baseOid, trustedEncoding_).text);
    for (std::uint32_t i = 0; i < message.columns.size(); ++i) {
      if (!message.columns[i].identity) table.outsideIdentity.push_back(i);
    }
    table.version = std::move(described.version);
    table.known = known;
    if (!known->unsure && isSame(*known, described.shape, table.version)) {
      table.shape = known->shape;
      known->version = table.version;
    } else {
      table.shape = described.shape;
      table.pending = changeFrom(*known, table.version);
    }
  }
  tables_[message.relation] = std::move(table);
}

void PgoutputRelations::told(StreamTable& table, Lsn commit) {
  table.known->toldAt = commit;
  table.pending.reset();
  table.known->shape = table.shape;
  table.known->version = table.version;
  table.known->unsure = false;
}

void PgoutputRelations::toldElsewhere(const Shape& shape) {
  const auto found = wanted_.find(shape->schema.table);
  if (found == wanted_.end()) return;
  ToldTable& known = *found->second;
  known.shape = shape;
  known.unsure = false;
  const auto [facts, past] = ask_.table(known.name);
  if (facts && facts->oid == known.oid) known.version = versionOf(*facts, past);
  settled(known);
}

/// A Relation message whose change is still to be told may have nothing left to tell.
void PgoutputRelations::settled(const ToldTable& known) {
  const auto table = tables_.find(known.oid);
  if (table == tables_.end() || !table->second.shape) return;
  if (table->second.shape->schema == known.shape->schema) table->second.pending.reset();
}

std::shared_ptr<const SchemaChange> PgoutputRelations::announce(ToldTable& known, const TableFacts& facts,
                                                                const TableVersion& past) {
  const Shape shape = namedAs(known.name, shapeOf(facts));
  TableVersion version = versionOf(facts, past);
  const bool isAnother = known.oid != facts.oid;
  std::shared_ptr<const SchemaChange> change;
  if (isAnother) {
    change = std::make_shared<const SchemaChange>(SchemaChange{.before = known.shape, .rowsChanged = true});
  } else if (known.unsure || !isSame(known, shape, version)) {
    change = changeFrom(known, version);
  }
  if (change) known.shape = shape;
  known.version = std::move(version);
  known.oid = facts.oid;
  known.unsure = false;
  settled(known);
  return change;
}

StreamTable& PgoutputRelations::find(std::uint32_t oid) {
  if (oid == lastOid_ && last_ != nullptr) return *last_;
  const auto found = tables_.find(oid);
  if (found == tables_.end()) {
    throw Error(ErrorCode::parseError, Retry::later,
                fmt::format("the server sent a change of table {} before its columns", oid));
  }
  lastOid_ = oid;
  return *(last_ = &found->second);
}

}  // namespace tidegate::postgres::detail
