#include "simulation/sim_database.h"

#include <algorithm>
#include <chrono>

#include "tidegate/sqlite/query_fn.h"

namespace tidegate::sim {

namespace {

std::string cursorText(Micros at, CursorForm form) {
  const auto days = std::chrono::floor<std::chrono::days>(at);
  const std::chrono::year_month_day date{std::chrono::sys_days{days}};
  const std::chrono::hh_mm_ss time{std::chrono::floor<std::chrono::milliseconds>(at - days)};
  const bool iso = form == CursorForm::isoMillis || form == CursorForm::isoSeconds;
  const bool millis = form == CursorForm::isoMillis || form == CursorForm::sqliteMillis;
  std::string text = fmt::format("{:04}-{:02}-{:02}{}{:02}:{:02}:{:02}", static_cast<int>(date.year()),
                                 static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                                 iso ? 'T' : ' ', time.hours().count(), time.minutes().count(), time.seconds().count());
  if (millis) text += fmt::format(".{:03}", time.subseconds().count());
  if (iso) text += 'Z';
  return text;
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

std::vector<std::string> allColumns(const TablePlan& table) {
  std::vector<std::string> columns = table.keys;
  const auto& data = SimDatabase::dataColumns();
  columns.insert(columns.end(), data.begin(), data.end());
  if (table.cursor != CursorForm::none) columns.push_back(SimDatabase::cursorColumnOf(table));
  return columns;
}

std::string upsertOf(const TablePlan& table) {
  const std::vector<std::string> columns = allColumns(table);
  std::string marks = "?";
  for (std::size_t i = 1; i < columns.size(); ++i) marks += ", ?";
  return "INSERT OR REPLACE INTO " + table.name + " (" + joined(columns) + ") VALUES (" + marks + ")";
}

std::string eraseOf(const TablePlan& table) {
  std::string sql = "DELETE FROM " + table.name + " WHERE ";
  for (std::size_t i = 0; i < table.keys.size(); ++i) sql += (i ? " AND " : "") + table.keys[i] + " = ?";
  return sql;
}

std::vector<Value> newKey(const TablePlan& table, SimRandom& random) {
  static const std::vector<std::string> places{"eu", "us", "eu,7", "\"a\"", "b\\c"};
  std::vector<Value> values;
  for (const std::string& key : table.keys) {
    if (key == "place")
      values.emplace_back(random.pick(places));
    else if (key == "code")
      values.emplace_back("k" + std::to_string(random.below(80)));
    else
      values.emplace_back(random.between(table.keys.size() > 1 ? 1 : -3, table.keys.size() > 1 ? 9 : 60));
  }
  return values;
}

void fillData(ModelRow& row, bool fresh, SimRandom& random) {
  static const std::vector<std::string> owners{"u1", "u2", "u3", "U1", ""};
  static const std::vector<std::string> regions{"eu", "us", "asia", "it's; -- \"x\""};
  const auto change = [&] { return fresh || random.chance(35); };
  if (change()) row["owner"] = random.chance(8) ? Value() : Value(random.pick(owners));
  if (change()) row["region"] = random.chance(8) ? Value() : Value(random.pick(regions));
  if (change()) row["qty"] = random.chance(8) ? Value() : Value(random.between(-2, 12));
  if (change()) row["price"] = random.chance(8) ? Value() : Value(static_cast<double>(random.below(40)) / 4);
  if (fresh || random.chance(12)) row["deleted"] = Value(std::int64_t{random.chance(25)});
}

}  // namespace

std::string modelRowId(const std::vector<Value>& keyValues) {
  const auto plain = [](const Value& v) {
    const auto* text = v.getIf<std::string>();
    return text ? *text : std::to_string(v.as<std::int64_t>());
  };
  if (keyValues.size() == 1) return plain(keyValues[0]);
  std::string json = "[";
  for (const Value& value : keyValues) {
    if (json.size() > 1) json += ',';
    if (value.kind() != ValueKind::text) {
      json += plain(value);
      continue;
    }
    json += '"';
    for (const char c : value.as<std::string>()) {
      if (c == '"' || c == '\\') json += '\\';
      json += c;
    }
    json += '"';
  }
  return json + "]";
}

const std::vector<std::string>& SimDatabase::dataColumns() {
  static const std::vector<std::string> columns{"owner", "region", "qty", "price", "deleted"};
  return columns;
}

std::string SimDatabase::cursorColumnOf(const TablePlan& table) {
  return table.cursor == CursorForm::integer ? "version" : "updated_at";
}

std::string SimDatabase::selectOf(const TablePlan& table) {
  return "SELECT " + joined(allColumns(table)) + " FROM " + table.name + " ;";
}

SimDatabase::SimDatabase(const Plan& plan, SimRandom random, const SimClock& clock, Trace& trace)
    : plan_(plan),
      random_(random),
      clock_(clock),
      trace_(trace),
      sqlite_(sqlite::queryFn({.path = ":memory:",
                               .readOnly = false,
                               .statementTimeout = std::chrono::milliseconds{0},
                               .cachedStatements = 64})),
      known_(plan.tables.size()) {
  createTables();
  for (const TablePlan& table : plan.tables) {
    upsertSql_.push_back(upsertOf(table));
    eraseSql_.push_back(eraseOf(table));
  }
}

void SimDatabase::step() {
  expire();
  const auto dice = random_.below(100);
  if (open_.empty() || (dice < 25 && open_.size() < 6)) {
    begin();
  } else if (dice < 75) {
    write(open_[static_cast<std::size_t>(random_.below(open_.size()))]);
  } else if (dice < 95) {
    commit(static_cast<std::size_t>(random_.below(open_.size())));
  } else {
    rollback(static_cast<std::size_t>(random_.below(open_.size())));
  }
}

void SimDatabase::begin() {
  Transaction& transaction = open_.emplace_back();
  transaction.id = nextTransaction_++;
  transaction.began = clock_.trueNow();
  transaction.stampAtStart = random_.chance(50);
  const auto writes = random_.chance(10) ? random_.between(5, 25) : random_.between(1, 4);
  for (std::int64_t i = 0; i < writes; ++i) write(transaction);
  if (random_.chance(50)) commit(open_.size() - 1);
}

bool SimDatabase::tooOld(const Transaction& transaction) const {
  const Micros limit = Micros(plan_.lookback) / 2 - std::chrono::milliseconds(500);
  if (transaction.touchesTimeCursor && clock_.trueNow() - transaction.began > limit) return true;
  return transaction.firstOrdinal != 0 && ordinal_ - transaction.firstOrdinal > plan_.lookbackRows / 3;
}

void SimDatabase::expire() {
  for (std::size_t i = open_.size(); i-- > 0;) {
    if (tooOld(open_[i])) commit(i);
  }
}

void SimDatabase::commitAll() {
  while (!open_.empty()) commit(open_.size() - 1);
}

std::optional<SimDatabase::Write> SimDatabase::chooseRow(const Transaction& transaction, std::size_t table) {
  Write write;
  write.table = table;
  const TablePlan& plan = plan_.tables[table];
  if (known_[table].empty() || random_.chance(40)) {
    write.keyValues = newKey(plan, random_);
    write.key = {plan.name, modelRowId(write.keyValues)};
  } else {
    write.key = random_.pick(known_[table]);
    write.keyValues = keyValues_.at(write.key);
  }
  const auto lock = locks_.find(write.key);
  if (lock != locks_.end() && lock->second != transaction.id) return std::nullopt;
  if (!keyValues_.contains(write.key)) {
    keyValues_[write.key] = write.keyValues;
    known_[table].push_back(write.key);
  }
  return write;
}

Value SimDatabase::cursorFor(const TablePlan& table, Transaction& transaction) {
  if (table.nullCursors && random_.chance(12)) return Value();
  if (table.cursor == CursorForm::integer) {
    if (sequence_ == 0 || !random_.chance(20)) ++sequence_;
    ++ordinal_;
    if (transaction.firstOrdinal == 0) transaction.firstOrdinal = ordinal_;
    return Value(sequence_);
  }
  transaction.touchesTimeCursor = true;
  return Value(cursorText(transaction.stampAtStart ? transaction.began : clock_.trueNow(), table.cursor));
}

/// A statement that stamps at the transaction's start must not do so long after it: the transaction would be past its
/// limit the moment it touches a cursor table.
void SimDatabase::write(Transaction& transaction) {
  const auto table = static_cast<std::size_t>(random_.below(plan_.tables.size()));
  if (plan_.tables[table].timeCursor() && !transaction.touchesTimeCursor &&
      clock_.trueNow() - transaction.began > std::chrono::milliseconds(500)) {
    return;
  }
  std::optional<Write> chosen = chooseRow(transaction, table);
  if (!chosen) return;
  fill(*chosen, transaction);
  locks_[chosen->key] = transaction.id;
  transaction.writes.push_back(std::move(*chosen));
}

void SimDatabase::fill(Write& write, Transaction& transaction) {
  const TablePlan& table = plan_.tables[write.table];
  const ModelRow* before = nullptr;
  const auto committed = committed_.find(write.key);
  if (committed != committed_.end()) before = &committed->second;
  for (const Write& own : transaction.writes) {
    if (own.key == write.key) before = own.erase ? nullptr : &own.row;
  }
  if (before && table.hardDeletes && random_.chance(25)) {
    write.erase = true;
    return;
  }
  if (before) write.row = *before;
  fillData(write.row, !before, random_);
  if (table.cursor != CursorForm::none) write.row[cursorColumnOf(table)] = cursorFor(table, transaction);
}

void SimDatabase::apply(const Write& write) {
  if (write.erase) {
    execute(eraseSql_[write.table], write.keyValues);
    committed_.erase(write.key);
    return;
  }
  std::vector<Value> params = write.keyValues;
  for (const std::string& column : dataColumns()) params.push_back(write.row.at(column));
  const TablePlan& table = plan_.tables[write.table];
  if (table.cursor != CursorForm::none) params.push_back(write.row.at(cursorColumnOf(table)));
  execute(upsertSql_[write.table], params);
  committed_[write.key] = write.row;
}

void SimDatabase::release(const Transaction& transaction) {
  for (const Write& write : transaction.writes) locks_.erase(write.key);
}

void SimDatabase::commit(std::size_t index) {
  Transaction& transaction = open_[index];
  for (const Write& write : transaction.writes) {
    apply(write);
    trace_.line("source", "tx {} commits {} {}", transaction.id, show(write.key),
                write.erase ? "erased" : show(&write.row));
  }
  release(transaction);
  open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(index));
}

void SimDatabase::rollback(std::size_t index) {
  trace_.line("source", "tx {} rolls back {} writes", open_[index].id, open_[index].writes.size());
  release(open_[index]);
  open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(index));
}

void SimDatabase::createTables() {
  for (const TablePlan& table : plan_.tables) {
    std::string sql = "CREATE TABLE " + table.name + " (";
    for (const std::string& key : table.keys) sql += key + (key == "place" || key == "code" ? " TEXT, " : " INTEGER, ");
    sql += "owner TEXT, region TEXT, qty INTEGER, price REAL, deleted INTEGER, ";
    if (table.cursor != CursorForm::none) sql += cursorColumnOf(table) + ", ";
    execute(sql + "PRIMARY KEY (" + joined(table.keys) + "))", {});
  }
}

void SimDatabase::execute(const std::string& sql, std::vector<Value> params) {
  Query query;
  query.sql = sql;
  query.params = std::move(params);
  Columns columns;
  std::vector<std::vector<Value>> rows;
  answer(query, columns, rows);
}

void SimDatabase::answer(const Query& query, Columns& columns, std::vector<std::vector<Value>>& rows) {
  ResultSet result = sqlite_(query);
  columns = result.columns();
  std::vector<Value> row;
  while (result.next(row)) rows.push_back(row);
}

}  // namespace tidegate::sim
