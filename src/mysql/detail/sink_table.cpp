#include "mysql/detail/sink_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "mysql/detail/bind.h"

namespace tidegate::mysql::detail {
namespace {

using tidegate::detail::FieldReader;
using tidegate::detail::PendingRows;

/// Rows of one statement: powers of two up to this, so that few statements are prepared.
constexpr std::size_t kMaxRows = 256;
/// The protocol counts parameters in 16 bits.
constexpr std::size_t kMaxParams = 60'000;
constexpr std::size_t kMaxStatementBytes = 1u << 20;
constexpr std::size_t kMaxPrepared = 200;
/// What a statement costs beside its values: its own header, and a type and length for each.
constexpr std::size_t kOverhead = 1024;

}  // namespace

SinkTable::SinkTable(TargetName name, Shape shape, std::vector<ColumnPlan> plans, std::string softDeleteColumn,
                     std::string namedTable)
    : name_(std::move(name)),
      shape_(std::move(shape)),
      plans_(std::move(plans)),
      softDelete_(softDeleteColumn.empty() ? std::string() : quoted(softDeleteColumn)),
      namedTable_(std::move(namedTable)),
      pending_(plans_.size()),
      fieldAt_(plans_.size()) {}

void SinkTable::renameColumn(const std::string& from, const std::string& to) {
  for (ColumnPlan& plan : plans_) {
    if (plan.quotedName == quoted(from)) plan.quotedName = quoted(to);
  }
}

void SinkTable::add(const ChangeEvent& event) {
  pending_.begin();
  std::string& row = pending_.row();
  if (event.op == ChangeOp::erase) {
    for (const std::uint32_t k : shape_->key) encodeColumn(k, event.before, row);
    keyOf(row);
    return pending_.erase(key_);
  }
  auto skipped = event.unchanged.begin();
  for (std::size_t i = 0; i < plans_.size(); ++i) {
    if (skipped != event.unchanged.end() && *skipped == i) {
      ++skipped;
      fieldAt_[i] = row.size();
      tidegate::detail::appendNullField(row);
    } else {
      encodeColumn(i, event.after, row);
    }
  }
  keyOf(row);
  if (event.unchanged.empty())
    pending_.upsert(key_);
  else
    pending_.patch(key_, event.unchanged);
}

void SinkTable::flush(SinkConnection& connection) {
  if (pending_.empty()) return;
  sendErases(connection);
  sendUpserts(connection);
  sendPatches(connection);
  if (baseline.tracked) sendNamed(connection);
  pending_.clear();
}

void SinkTable::encodeColumn(std::size_t column, const std::vector<Value>& values, std::string& out) {
  fieldAt_[column] = out.size();
  if (const char* why = appendField(values[column], plans_[column], out)) refuseValue(column, values, why);
}

void SinkTable::keyOf(const std::string& rows) {
  key_.clear();
  for (const std::uint32_t k : shape_->key) {
    const std::string_view field = FieldReader(rows.data() + fieldAt_[k]).next();
    if (FieldReader::isNull(field)) {
      throw Error(ErrorCode::rowIdInvalid, Retry::never,
                  fmt::format("table \"{}\": key column \"{}\" of a change is null", name_.text, plans_[k].name));
    }
    appendKeyField(plans_[k], field, key_);
  }
}

void SinkTable::refuseValue(std::size_t column, const std::vector<Value>& values, const char* why) const {
  std::string key;
  for (const std::uint32_t k : shape_->key) key += (key.empty() ? "" : ", ") + tidegate::describe(values[k]);
  throw Error(ErrorCode::typeUnsupported, Retry::never,
              fmt::format("table \"{}\", column \"{}\", key ({}): the value ({}) {}. Leave it out or change it by a "
                          "transform, or give the target a longtext column, which holds any value as text",
                          name_.text, plans_[column].name, redactSecrets(key), toString(values[column].kind()), why));
}

std::vector<std::string_view> SinkTable::fieldsOf(const PendingRows::Entry& entry) const {
  FieldReader reader(pending_.rowOf(entry));
  std::vector<std::string_view> fields(entry.kind == PendingRows::Kind::erase ? shape_->key.size() : plans_.size());
  for (std::string_view& field : fields) field = reader.next();
  return fields;
}

std::vector<std::string_view> SinkTable::keyFieldsOf(const PendingRows::Entry& entry) const {
  std::vector<std::string_view> fields = fieldsOf(entry), key;
  if (entry.kind == PendingRows::Kind::erase) return fields;
  for (const std::uint32_t k : shape_->key) key.push_back(fields[k]);
  return key;
}

void SinkTable::sendErases(SinkConnection& connection) {
  // One condition for each row, which both servers turn into ranges of the key; a list of tuples MariaDB would not.
  const std::string mark = eraseSql("", "\1");
  const std::size_t at = mark.find('\1');
  Rows rows{mark.substr(0, at) + "(", "(" + keyCondition() + ")", " OR ", ")" + mark.substr(at + 1)};
  for (const PendingRows::Entry& entry : pending_.entries()) {
    if (entry.kind == PendingRows::Kind::erase || entry.erasedBefore) rows.fields.push_back(keyFieldsOf(entry));
  }
  send(connection, rows);
}

void SinkTable::sendUpserts(SinkConnection& connection) {
  std::string columns, sets;
  std::vector<std::uint32_t> all(plans_.size());
  std::iota(all.begin(), all.end(), 0U);
  for (const std::uint32_t i : all) {
    const std::string& name = plans_[i].quotedName;
    columns += (i == 0 ? "" : ", ") + name;
    if (std::find(shape_->key.begin(), shape_->key.end(), i) != shape_->key.end()) continue;
    sets += fmt::format("{}{} = VALUES({})", sets.empty() ? "" : ", ", name, name);
  }
  if (!softDelete_.empty()) sets += fmt::format("{}{} = NULL", sets.empty() ? "" : ", ", softDelete_);
  if (sets.empty()) sets = fmt::format("{0} = {0}", plans_[0].quotedName);
  Rows rows{fmt::format("INSERT INTO {} ({}) VALUES ", name_.quotedName, columns), "(" + marks(all) + ")", ", ",
            " ON DUPLICATE KEY UPDATE " + sets};
  for (const PendingRows::Entry& entry : pending_.entries()) {
    if (entry.kind == PendingRows::Kind::upsert) rows.fields.push_back(fieldsOf(entry));
  }
  send(connection, rows);
}

void SinkTable::sendPatches(SinkConnection& connection) {
  for (const PendingRows::Entry& entry : pending_.entries()) {
    if (entry.kind != PendingRows::Kind::patch) continue;
    const auto& unchanged = pending_.unchanged(entry.mask);
    const std::vector<std::string_view> fields = fieldsOf(entry);
    std::string sets;
    std::vector<std::string_view> params;
    for (std::uint32_t i = 0; i < plans_.size(); ++i) {
      const bool skip = std::find(unchanged.begin(), unchanged.end(), i) != unchanged.end() ||
                        std::find(shape_->key.begin(), shape_->key.end(), i) != shape_->key.end();
      if (skip) continue;
      sets += fmt::format("{}{} = {}", sets.empty() ? "" : ", ", plans_[i].quotedName, marks({i}));
      params.push_back(fields[i]);
    }
    if (sets.empty()) continue;  // nothing changed but what names the row
    for (const std::uint32_t k : shape_->key) params.push_back(fields[k]);
    const std::string alive = softDelete_.empty() ? "" : fmt::format(" AND t.{} IS NULL", softDelete_);
    Rows rows{fmt::format("UPDATE {} AS t SET {} WHERE ", name_.quotedName, sets), keyCondition(), "", alive, {params}};
    send(connection, rows);
  }
}

void SinkTable::sendNamed(SinkConnection& connection) {
  Rows rows{fmt::format("INSERT INTO {} VALUES ", namedTable_), "(" + marks(shape_->key) + ")", ", ",
            " ON DUPLICATE KEY UPDATE k1 = k1"};
  for (const PendingRows::Entry& entry : pending_.entries()) {
    if (entry.kind != PendingRows::Kind::erase) rows.fields.push_back(keyFieldsOf(entry));
  }
  send(connection, rows);
}

std::string SinkTable::marks(const std::vector<std::uint32_t>& columns) const {
  std::string text;
  for (const std::uint32_t i : columns) {
    text += (text.empty() ? "" : ", ") + std::string(plans_[i].put == Put::bytes ? "UNHEX(?)" : "?");
  }
  return text;
}

std::string SinkTable::keyCondition() const {
  std::string text;
  for (const std::uint32_t k : shape_->key) {
    text += fmt::format("{}t.{} = {}", text.empty() ? "" : " AND ", plans_[k].quotedName, plans_[k].keyMark);
  }
  return text;
}

std::string SinkTable::namedMatch() const {
  std::string text;
  for (std::size_t i = 0; i < shape_->key.size(); ++i) {
    text += fmt::format("{}s.k{} = t.{}", i == 0 ? "" : " AND ", i + 1, plans_[shape_->key[i]].quotedName);
  }
  return text;
}

std::string SinkTable::eraseSql(const std::string& join, const std::string& condition) const {
  if (softDelete_.empty()) {
    return fmt::format("DELETE t FROM {} AS t {} WHERE {}", name_.quotedName, join, condition);
  }
  return fmt::format("UPDATE {} AS t {} SET t.{} = UTC_TIMESTAMP(6) WHERE t.{} IS NULL AND {}", name_.quotedName, join,
                     softDelete_, softDelete_, condition);
}

void SinkTable::send(SinkConnection& connection, const Rows& rows) {
  std::size_t first = 0;
  while (first < rows.fields.size()) {
    // As many rows as fit, then the greatest power of two of them.
    const std::size_t columns = rows.fields[first].size();
    std::size_t most = std::min({rows.fields.size() - first, kMaxRows, std::max<std::size_t>(1, kMaxParams / columns)});
    std::size_t bytes = 0, fit = 0;
    for (; fit < most; ++fit) {
      for (const std::string_view field : rows.fields[first + fit]) bytes += field.size();
      if (bytes > kMaxStatementBytes) break;
    }
    std::size_t count = 1;
    while (2 * count <= fit) count *= 2;
    sendSome(connection, rows, first, count);
    first += count;
  }
}

void SinkTable::sendSome(SinkConnection& connection, const Rows& rows, std::size_t first, std::size_t count) {
  std::size_t bytes = kOverhead;
  for (std::size_t i = first; i < first + count; ++i) {
    for (const std::string_view field : rows.fields[i]) bytes += field.size() + 12;
  }
  if (bytes > connection.maxPacket()) {
    throw Error(ErrorCode::queryFailed, Retry::afterOperator,
                fmt::format("table \"{}\": a row of {} bytes is more than the server's max_allowed_packet ({}): SET "
                            "GLOBAL max_allowed_packet = {}, there and in its configuration",
                            name_.text, bytes, connection.maxPacket(), (2 * bytes + 1023) / 1024 * 1024));
  }
  std::string sql = rows.head;
  for (std::size_t i = 0; i < count; ++i) sql += (i == 0 ? "" : rows.separator) + rows.row;
  sql::PreparedStatement& statement = prepared(connection, sql + rows.tail);
  unsigned index = 0;
  for (std::size_t i = first; i < first + count; ++i) {
    for (const std::string_view field : rows.fields[i]) bindField(statement, ++index, field);
  }
  connection.execute(statement);
}

sql::PreparedStatement& SinkTable::prepared(SinkConnection& connection, const std::string& sql) {
  auto& held = prepared_[sql];
  if (held == nullptr) {
    if (prepared_.size() > kMaxPrepared) {
      prepared_.clear();
      return *(prepared_[sql] = connection.prepare(sql));
    }
    held = connection.prepare(sql);
  }
  return *held;
}

}  // namespace tidegate::mysql::detail
