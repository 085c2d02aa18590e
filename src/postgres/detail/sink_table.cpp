#include "postgres/detail/sink_table.h"

#include <fmt/format.h>

#include <numeric>

#include "tidegate/core/query.h"

namespace tidegate::postgres::detail {
namespace {

using tidegate::detail::appendNullField;
using tidegate::detail::FieldReader;
using tidegate::detail::PendingRows;

/// Statements prepared for one table; sources leave out few combinations of columns.
constexpr std::size_t kMaxPrepared = 100;

void putBig32(std::uint32_t v, char* to) {
  for (int i = 3; i >= 0; --i, v >>= 8) to[i] = static_cast<char>(v);
}

std::string onConflictOf(const Shape& shape, const std::vector<ColumnPlan>& plans, const std::string& softDelete) {
  std::string keys, sets;
  for (const std::uint32_t k : shape->key) keys += (keys.empty() ? "" : ", ") + plans[k].quoted;
  for (std::uint32_t i = 0; i < plans.size(); ++i) {
    if (std::find(shape->key.begin(), shape->key.end(), i) != shape->key.end()) continue;
    sets += fmt::format("{}{} = EXCLUDED.{}", sets.empty() ? "" : ", ", plans[i].quoted, plans[i].quoted);
  }
  if (!softDelete.empty()) sets += fmt::format("{}{} = NULL", sets.empty() ? "" : ", ", softDelete);
  return fmt::format("ON CONFLICT ({}) DO {}", keys, sets.empty() ? "NOTHING" : "UPDATE SET " + sets);
}

}  // namespace

/// Array parameters in binary form, one for each of some columns, filled row by row.
struct SinkTable::Arrays {
  Arrays(const std::vector<ColumnPlan>& plans, const std::vector<std::uint32_t>& columns) : params(columns.size()) {
    for (std::size_t i = 0; i < columns.size(); ++i) {
      params[i].assign(20, '\0');  // dimensions, has nulls, type, length, lower bound
      params[i][3] = params[i][19] = '\1';
      putBig32(typeOf(plans[columns[i]].wire).oid, params[i].data() + 8);
    }
  }
  void add(std::size_t i, std::string_view field) {
    if (FieldReader::isNull(field)) params[i][7] = '\1';
    params[i].append(field);
  }
  void rowDone() { ++rows; }
  void finish() {
    for (std::string& p : params) putBig32(rows, p.data() + 12);
  }

  std::vector<std::string> params;
  std::uint32_t rows = 0;
};

SinkTable::SinkTable(TargetName name, Shape shape, std::vector<ColumnPlan> plans, std::string softDeleteColumn)
    : name_(std::move(name)),
      shape_(std::move(shape)),
      plans_(std::move(plans)),
      softDelete_(softDeleteColumn.empty() ? std::string() : quoteIdentifier(Dialect::postgres, softDeleteColumn)),
      pending_(plans_.size()),
      copy_(name_, shape_, plans_, onConflictOf(shape_, plans_, softDelete_)),
      allColumns_(plans_.size()),
      fieldAt_(plans_.size()) {
  std::iota(allColumns_.begin(), allColumns_.end(), 0U);
}

void SinkTable::add(const ChangeEvent& event) {
  pending_.begin();
  std::string& row = pending_.row();
  if (event.op == ChangeOp::erase) {
    for (const std::uint32_t k : shape_->key) encodeColumn(k, event.before, row);
    keyOf(row);
    return pending_.erase(key_);
  }
  encode(event.after, event.unchanged, row);
  keyOf(row);
  if (event.unchanged.empty())
    pending_.upsert(key_);
  else
    pending_.patch(key_, event.unchanged);
}

void SinkTable::copy(const ChangeEvent& event, SinkConnection& connection) {
  std::string& row = copy_.beginRow();
  encode(event.after, {}, row);
  for (const std::uint32_t k : shape_->key) {
    if (FieldReader::isNull(std::string_view(row).substr(fieldAt_[k]))) refuseValue(k, event.after, Misfit::none);
  }
  copy_.rowDone(connection);
}

void SinkTable::flush(SinkConnection& connection) {
  if (!copy_.finish(connection)) baseline.pristine = false;
  if (pending_.empty()) return;
  sendErases(connection);
  sendUpserts(connection);
  sendPatches(connection);
  if (!baseline.seenTable.empty()) sendSeen(connection);
  pending_.clear();
}

void SinkTable::encode(const std::vector<Value>& values, const std::vector<std::uint32_t>& unchanged,
                       std::string& out) {
  auto skipped = unchanged.begin();
  for (std::size_t i = 0; i < plans_.size(); ++i) {
    if (skipped != unchanged.end() && *skipped == i) {
      ++skipped;
      fieldAt_[i] = out.size();
      appendNullField(out);
    } else {
      encodeColumn(i, values, out);
    }
  }
}

void SinkTable::encodeColumn(std::size_t column, const std::vector<Value>& values, std::string& out) {
  fieldAt_[column] = out.size();
  const Misfit misfit = appendField(values[column], plans_[column].wire, plans_[column].kind, out);
  if (misfit != Misfit::none) refuseValue(column, values, misfit);
}

void SinkTable::keyOf(const std::string& rows) {
  key_.clear();
  for (const std::uint32_t k : shape_->key) {
    const std::string_view field = FieldReader(rows.data() + fieldAt_[k]).next();
    if (FieldReader::isNull(field)) {
      throw Error(ErrorCode::rowIdInvalid, Retry::never,
                  fmt::format("table \"{}\": key column \"{}\" of a change is null", name_.text, plans_[k].name));
    }
    appendKeyField(plans_[k].wire, field, key_);
  }
}

void SinkTable::refuseValue(std::size_t column, const std::vector<Value>& values, Misfit why) const {
  if (why == Misfit::none) {
    throw Error(ErrorCode::rowIdInvalid, Retry::never,
                fmt::format("table \"{}\": key column \"{}\" of a row is null", name_.text, plans_[column].name));
  }
  throw Error(ErrorCode::typeUnsupported, Retry::never,
              fmt::format("table \"{}\", column \"{}\", key {}: the value ({}) {}. Leave it out or change it by a "
                          "transform, or give the target a column that holds it (text or bytea)",
                          name_.text, plans_[column].name, describeKey(values), toString(values[column].kind()),
                          describe(why)));
}

std::string SinkTable::describeKey(const std::vector<Value>& values) const {
  std::string text;
  for (const std::uint32_t k : shape_->key) text += (text.empty() ? "" : ", ") + tidegate::describe(values[k]);
  return "(" + redactSecrets(text) + ")";
}

void SinkTable::sendErases(SinkConnection& connection) {
  Arrays arrays(plans_, shape_->key);
  for (const PendingRows::Entry& entry : pending_.entries()) {
    if (entry.kind != PendingRows::Kind::erase && !entry.erasedBefore) continue;
    FieldReader fields(pending_.rowOf(entry));
    if (entry.kind == PendingRows::Kind::erase) {
      for (std::size_t i = 0; i < shape_->key.size(); ++i) arrays.add(i, fields.next());
    } else {
      std::vector<std::string_view> row;
      for (std::size_t i = 0; i < plans_.size(); ++i) row.push_back(fields.next());
      for (std::size_t i = 0; i < shape_->key.size(); ++i) arrays.add(i, row[shape_->key[i]]);
    }
    arrays.rowDone();
  }
  if (arrays.rows == 0) return;
  const std::string from = unnest(shape_->key);
  runWith(connection, eraseSql(from, keyLookUp(shape_->key)), shape_->key, arrays);
}

void SinkTable::sendUpserts(SinkConnection& connection) {
  Arrays arrays(plans_, allColumns_);
  for (const PendingRows::Entry& entry : pending_.entries()) {
    if (entry.kind != PendingRows::Kind::upsert) continue;
    FieldReader fields(pending_.rowOf(entry));
    for (std::size_t i = 0; i < plans_.size(); ++i) arrays.add(i, fields.next());
    arrays.rowDone();
  }
  if (arrays.rows > 0) runWith(connection, upsertSql(), allColumns_, arrays);
}

void SinkTable::sendPatches(SinkConnection& connection) {
  for (std::uint32_t mask = 0; mask < pending_.maskCount(); ++mask) {
    const auto& unchanged = pending_.unchanged(mask);
    std::vector<std::uint32_t> columns;
    for (const std::uint32_t i : allColumns_) {
      if (std::find(unchanged.begin(), unchanged.end(), i) == unchanged.end()) columns.push_back(i);
    }
    if (columns.size() == shape_->key.size()) continue;  // nothing changed but what names the row
    Arrays arrays(plans_, columns);
    for (const PendingRows::Entry& entry : pending_.entries()) {
      if (entry.kind != PendingRows::Kind::patch || entry.mask != mask) continue;
      FieldReader fields(pending_.rowOf(entry));
      std::size_t at = 0;
      for (std::uint32_t i = 0; i < plans_.size(); ++i) {
        const std::string_view field = fields.next();
        if (at < columns.size() && columns[at] == i) arrays.add(at++, field);
      }
      arrays.rowDone();
    }
    if (arrays.rows > 0) runWith(connection, patchSql(columns), columns, arrays);
  }
}

void SinkTable::sendSeen(SinkConnection& connection) {
  Arrays arrays(plans_, shape_->key);
  std::vector<std::string_view> row(plans_.size());
  for (const PendingRows::Entry& entry : pending_.entries()) {
    if (entry.kind == PendingRows::Kind::erase) continue;
    FieldReader fields(pending_.rowOf(entry));
    for (std::string_view& field : row) field = fields.next();
    for (std::size_t i = 0; i < shape_->key.size(); ++i) arrays.add(i, row[shape_->key[i]]);
    arrays.rowDone();
  }
  if (arrays.rows == 0) return;
  std::string columns;
  for (std::size_t i = 0; i < shape_->key.size(); ++i) {
    columns += fmt::format("{}u.u{}{}", i == 0 ? "" : ", ", i + 1, plans_[shape_->key[i]].cast);
  }
  runWith(connection,
          fmt::format("INSERT INTO {} SELECT {} FROM {} ON CONFLICT DO NOTHING", baseline.seenTable, columns,
                      unnest(shape_->key)),
          shape_->key, arrays);
}

std::string SinkTable::unnest(const std::vector<std::uint32_t>& columns) const {
  std::string arrays, names;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const std::string comma = i == 0 ? "" : ", ";
    arrays += fmt::format("{}${}::{}[]", comma, i + 1, typeOf(plans_[columns[i]].wire).name);
    names += fmt::format("{}u{}", comma, i + 1);
  }
  return fmt::format("unnest({}) AS u({})", arrays, names);
}

std::string SinkTable::keyMatch(const std::string& other, const std::string& prefix) const {
  std::string sql;
  for (std::size_t i = 0; i < shape_->key.size(); ++i) {
    const ColumnPlan& plan = plans_[shape_->key[i]];
    sql += fmt::format("{}t.{} = {}.{}{}{}", i == 0 ? "" : " AND ", plan.quoted, other, prefix, i + 1, plan.cast);
  }
  return sql;
}

/// The target's rows of the keys in `u`, whose columns are `columns`. The first comparison is one that an index serves
/// and no order helps with: else a plan made while the table was empty may go through the whole table, and compare each
/// row with all of `u`.
std::string SinkTable::keyLookUp(const std::vector<std::uint32_t>& columns) const {
  std::string sql;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (std::find(shape_->key.begin(), shape_->key.end(), columns[i]) == shape_->key.end()) continue;
    const ColumnPlan& plan = plans_[columns[i]];
    const bool first = columns[i] == shape_->key.front();
    sql += fmt::format("{}t.{} = {}u.u{}{}{}", sql.empty() ? "" : " AND ", plan.quoted, first ? "ANY (ARRAY[" : "",
                       i + 1, plan.cast, first ? "])" : "");
  }
  return sql;
}

std::string SinkTable::aliveCondition() const {
  return softDelete_.empty() ? std::string() : fmt::format(" AND t.{} IS NULL", softDelete_);
}

std::string SinkTable::eraseSql(const std::string& from, const std::string& condition) const {
  if (softDelete_.empty()) {
    return fmt::format("DELETE FROM {} AS t {} WHERE {}", name_.quoted, from.empty() ? "" : "USING " + from, condition);
  }
  return fmt::format("UPDATE {} AS t SET {} = now() {} WHERE {}{}", name_.quoted, softDelete_,
                     from.empty() ? "" : "FROM " + from, condition, aliveCondition());
}

std::string SinkTable::upsertSql() const {
  std::string columns, values;
  for (std::size_t i = 0; i < plans_.size(); ++i) {
    const std::string comma = i == 0 ? "" : ", ";
    columns += comma + plans_[i].quoted;
    values += fmt::format("{}u.u{}{}", comma, i + 1, plans_[i].cast);
  }
  return fmt::format("INSERT INTO {} AS t ({}) SELECT {} FROM {} {}", name_.quoted, columns, values,
                     unnest(allColumns_), onConflictOf(shape_, plans_, softDelete_));
}

std::string SinkTable::patchSql(const std::vector<std::uint32_t>& columns) const {
  std::string sets;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const ColumnPlan& plan = plans_[columns[i]];
    if (std::find(shape_->key.begin(), shape_->key.end(), columns[i]) != shape_->key.end()) continue;
    sets += fmt::format("{}{} = u.u{}{}", sets.empty() ? "" : ", ", plan.quoted, i + 1, plan.cast);
  }
  return fmt::format("UPDATE {} AS t SET {} FROM {} WHERE {}{}", name_.quoted, sets, unnest(columns),
                     keyLookUp(columns), aliveCondition());
}

void SinkTable::runWith(SinkConnection& connection, const std::string& sql, const std::vector<std::uint32_t>& columns,
                        Arrays& arrays) {
  arrays.finish();
  auto found = prepared_.find(sql);
  if (found == prepared_.end()) {
    if (prepared_.size() >= kMaxPrepared) {
      for (const auto& [text, name] : prepared_) connection.run("DEALLOCATE " + name);
      prepared_.clear();
    }
    std::vector<unsigned> types;
    for (const std::uint32_t i : columns) types.push_back(typeOf(plans_[i].wire).arrayOid);
    found = prepared_.emplace(sql, connection.prepare(sql, types)).first;
  }
  connection.runPrepared(found->second, arrays.params);
}

}  // namespace tidegate::postgres::detail
