#include "sqlite/detail/source_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "sqlite/detail/source_shapes.h"

namespace tidegate::sqlite::detail {

namespace {

constexpr std::int64_t kLogFormat = 1;
/// Columns of a new change table; more are added where a table has more.
constexpr std::size_t kFirstWidth = 8, kFirstKeyWidth = 2;

std::string numberedColumns(const char* letter, std::size_t from, std::size_t to) {
  std::string text;
  for (std::size_t i = from; i < to; ++i) text += fmt::format(", {}{}", letter, i);
  return text;
}

std::uint32_t newToken() {
  std::random_device device;
  std::uint32_t token = 0;
  while (token == 0) token = device();
  return token;
}

/// Names alone differ, in some place.
bool sameButNames(const TableShape& a, const TableShape& b) {
  if (a.key != b.key || a.schema.columns.size() != b.schema.columns.size()) return false;
  for (std::size_t i = 0; i < a.schema.columns.size(); ++i) {
    ColumnSchema left = a.schema.columns[i];
    left.name = b.schema.columns[i].name;
    if (!(left == b.schema.columns[i])) return false;
  }
  return true;
}

}  // namespace

SourceLog::SourceLog(SourceFile& file, const SourceOptions& options)
    : file_(file), options_(options), names_(options.name) {}

std::int64_t SourceLog::currentSchemaVersion() { return file_.number("PRAGMA main.schema_version").value_or(0); }

std::set<std::string> SourceLog::tableColumns(const std::string& table) {
  const StatementPtr ask = file_.prepare("SELECT name FROM pragma_table_info(" + sqlText(table) + ", 'main')");
  std::set<std::string> columns;
  while (file_.row(ask.get())) columns.insert(textAt(ask.get(), 0));
  return columns;
}

bool SourceLog::load() {
  shapes_.clear();
  const auto columns = tableColumns(names_.log);
  const auto keys = tableColumns(names_.doubt);
  if (!columns.contains("seq") || keys.empty()) return false;
  if (tableColumns(names_.shapes).empty() || tableColumns(names_.facts).empty()) return false;
  for (width_ = 0; columns.contains("v" + std::to_string(width_));) ++width_;
  for (keyWidth_ = 0; keys.contains("k" + std::to_string(keyWidth_));) ++keyWidth_;
  const std::string facts = "SELECT value FROM main." + sqlName(names_.facts) + " WHERE name = ";
  if (file_.number(facts + "'format'").value_or(0) > kLogFormat) {
    throw Error(
        ErrorCode::invalidConfig, Retry::afterOperator,
        fmt::format("{}: the change table of source \"{}\" was made by a newer Tidegate", file_.path(), options_.name));
  }
  token_ = static_cast<std::uint32_t>(file_.number(facts + "'token'").value_or(0));
  const StatementPtr ask =
      file_.prepare("SELECT number, name, live, others, shape FROM main." + sqlName(names_.shapes));
  while (file_.row(ask.get())) {
    LoggedShape shape{.number = sqlite3_column_int64(ask.get(), 0),
                      .table = textAt(ask.get(), 1),
                      .live = sqlite3_column_int(ask.get(), 2) != 0,
                      .foreignTriggers = sqlite3_column_int64(ask.get(), 3)};
    shape.shape = shapeFromText(textAt(ask.get(), 4), shape.table);
    shape.lifts = liftsOf(*shape.shape);
    shapes_[shape.number] = std::move(shape);
  }
  return token_ != 0;
}

const LoggedShape* SourceLog::shape(std::int64_t number) const {
  const auto at = shapes_.find(number);
  return at == shapes_.end() ? nullptr : &at->second;
}

const LoggedShape* SourceLog::lastOf(const std::string& table) const {
  const LoggedShape* last = nullptr;
  for (const auto& [number, shape] : shapes_) {
    if (shape.table == table) last = &shape;
  }
  return last;
}

bool SourceLog::hasTriggers(const SourceTable& table, std::int64_t number) {
  for (const Trigger& trigger : triggersFor(names_, table, number)) {
    const auto sql =
        file_.text("SELECT sql FROM main.sqlite_schema WHERE type = 'trigger' AND name = " + sqlText(trigger.name) +
                   " AND tbl_name = " + sqlText(table.name));
    if (sql != trigger.sql) return false;
  }
  return true;
}

SourceLog::Finding SourceLog::look(const std::string& name) {
  Finding finding;
  finding.table = readSourceTable(file_, name);
  finding.before = lastOf(name);
  if (!finding.table || finding.table->kind != SourceTable::Kind::table || finding.table->key.empty()) {
    finding.standing = Standing::gone;
    return finding;
  }
  finding.standing = finding.before == nullptr ? Standing::unknown : Standing::changed;
  if (finding.before == nullptr || !finding.before->live) return finding;
  if (finding.before->foreignTriggers != finding.table->foreignTriggers) return finding;
  const Shape now = shapeOfTable(*finding.table, options_.kindsByDeclaration);
  if (!sameButNames(*finding.before->shape, *now) || !hasTriggers(*finding.table, finding.before->number))
    return finding;
  finding.standing = finding.before->shape->schema == now->schema ? Standing::good : Standing::renamed;
  return finding;
}

bool SourceLog::follows(const std::set<std::string>& tables) {
  const std::int64_t version = currentSchemaVersion();
  for (const std::string& table : tables) {
    const Finding finding = look(table);
    const bool stillGone = finding.standing == Standing::gone && finding.before != nullptr && !finding.before->live;
    if (finding.standing != Standing::good && !stillGone) return false;
  }
  schemaVersion_ = version;
  return true;
}

void SourceLog::follow(const std::set<std::string>& tables, bool isNews,
                       const std::function<void(const std::string&)>& warn) {
  SourceTransaction transaction(file_, SourceTransaction::Kind::write);
  if (!load() || !end()) {
    remove();
    create();
    load();
  }
  for (const std::string& table : tables) {
    const Finding finding = look(table);
    if (finding.standing == Standing::good) continue;
    if (finding.standing != Standing::gone) {
      adopt(table, finding, isNews);
      load();
      continue;
    }
    if (!isNews) {
      const TableIssue issue =
          finding.table ? issuesOfTable(*finding.table, options_).at(0) : missingTable(file_, table);
      throw Error(issue.code, Retry::afterOperator, issue.message);
    }
    if (finding.before != nullptr && !finding.before->live) continue;
    warn(fmt::format("table {} was dropped or renamed, or lost its key: changes of it come no more", table));
    if (finding.before != nullptr) {
      retire(*finding.before);
    } else {
      addShape({.name = table}, makeShape({.table = table}));
      file_.exec("UPDATE main." + sqlName(names_.shapes) + " SET live = 0 WHERE name = " + sqlText(table));
    }
    load();
  }
  schemaVersion_ = currentSchemaVersion();
  transaction.commit();
}

void SourceLog::create() {
  const std::string log = "main." + sqlName(names_.log), facts = "main." + sqlName(names_.facts);
  // No constraint on any column: the conflict clause of whoever writes would decide what comes of it.
  file_.exec(
      fmt::format("CREATE TABLE {}(seq INTEGER PRIMARY KEY, t, op, at{})", log, numberedColumns("v", 0, kFirstWidth)));
  file_.exec(fmt::format("CREATE TABLE main.{}(t{})", sqlName(names_.doubt), numberedColumns("k", 0, kFirstKeyWidth)));
  file_.exec(
      fmt::format("CREATE TABLE main.{}(number INTEGER PRIMARY KEY, name TEXT, live INTEGER, others INTEGER, "
                  "shape TEXT)",
                  sqlName(names_.shapes)));
  file_.exec(fmt::format("CREATE TABLE {}(name TEXT PRIMARY KEY, value) WITHOUT ROWID", facts));
  file_.exec(fmt::format("INSERT INTO {}(op, at) VALUES (0, julianday('now'))", log));
  file_.exec(fmt::format("INSERT INTO {} VALUES ('format', {}), ('token', {}), ('trimmed', 0), ('trimmedAt', 0.0)",
                         facts, kLogFormat, newToken()));
}

void SourceLog::dropTriggers(std::int64_t number) {
  for (const char* suffix : {"bi", "ai", "bu", "au", "ad"}) {
    file_.exec("DROP TRIGGER IF EXISTS main." + sqlName(fmt::format("{}{}.{}", names_.triggers, number, suffix)));
  }
}

void SourceLog::dropTriggers() {
  std::vector<std::string> found;
  {
    const StatementPtr ask = file_.prepare(
        fmt::format("SELECT name FROM main.sqlite_schema WHERE type = 'trigger' AND substr(name, 1, {}) = {}",
                    names_.triggers.size(), sqlText(names_.triggers)));
    while (file_.row(ask.get())) found.push_back(textAt(ask.get(), 0));
  }
  for (const std::string& name : found) file_.exec("DROP TRIGGER main." + sqlName(name));
}

void SourceLog::remove() {
  dropTriggers();  // first: without their tables they would stop every writer
  for (const std::string& name : {names_.log, names_.doubt, names_.shapes, names_.facts}) {
    file_.exec("DROP TABLE IF EXISTS main." + sqlName(name));
  }
  shapes_.clear();
  token_ = 0;
}

void SourceLog::widen(std::size_t columns, std::size_t keys) {
  for (; width_ < columns; ++width_) {
    file_.exec(fmt::format("ALTER TABLE main.{} ADD COLUMN v{}", sqlName(names_.log), width_));
  }
  for (; keyWidth_ < keys; ++keyWidth_) {
    file_.exec(fmt::format("ALTER TABLE main.{} ADD COLUMN k{}", sqlName(names_.doubt), keyWidth_));
  }
}

std::int64_t SourceLog::addShape(const SourceTable& table, const Shape& shape) {
  const StatementPtr add =
      file_.prepare("INSERT INTO main." + sqlName(names_.shapes) + "(name, live, others, shape) VALUES (?, 1, ?, ?)");
  const std::string text = shapeToText(*shape);
  sqlite3_bind_text64(add.get(), 1, table.name.data(), table.name.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  sqlite3_bind_int64(add.get(), 2, table.foreignTriggers);
  sqlite3_bind_text64(add.get(), 3, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  file_.run(add.get());
  return sqlite3_last_insert_rowid(file_.handle());
}

void SourceLog::retire(const LoggedShape& shape) {
  dropTriggers(shape.number);
  file_.exec(fmt::format("UPDATE main.{} SET live = 0 WHERE number = {}", sqlName(names_.shapes), shape.number));
  file_.exec(fmt::format("DELETE FROM main.{} WHERE t = {}", sqlName(names_.doubt), shape.number));
}

void SourceLog::adopt(const std::string& name, const Finding& finding, bool isNews) {
  const Shape now = shapeOfTable(*finding.table, options_.kindsByDeclaration);
  if (isReserved(name)) {
    throw Error(ErrorCode::typeUnsupported, Retry::never, fmt::format("table \"{}\" cannot be followed", name));
  }
  widen(now->columns->size(), now->key.size());
  if (finding.before != nullptr) retire(*finding.before);
  const std::int64_t number = addShape(*finding.table, now);
  for (const Trigger& trigger : triggersFor(names_, *finding.table, number)) file_.exec(trigger.sql);
  // Another pipeline may know the table as it was.
  if (finding.before != nullptr || isNews) tell(number, finding, now);
}

void SourceLog::tell(std::int64_t number, const Finding& finding, const Shape& now) {
  LoggedChange change{.before = finding.before == nullptr ? 0 : finding.before->number,
                      .rowsChanged = finding.standing != Standing::renamed};
  if (finding.standing == Standing::renamed) {
    const auto& old = finding.before->shape->schema.columns;
    for (std::size_t i = 0; i < old.size(); ++i) {
      const std::string& name = now->schema.columns[i].name;
      if (old[i].name != name) change.renamed.emplace_back(old[i].name, name);
    }
  }
  const StatementPtr add =
      file_.prepare("INSERT INTO main." + sqlName(names_.log) + "(t, op, at, v0) VALUES (?, 4, julianday('now'), ?)");
  const std::string text = changeToText(change);
  sqlite3_bind_int64(add.get(), 1, number);
  sqlite3_bind_text64(add.get(), 2, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  file_.run(add.get());
}

std::optional<LogPlace> SourceLog::end() {
  const StatementPtr ask =
      file_.prepare("SELECT seq, at FROM main." + sqlName(names_.log) + " ORDER BY seq DESC LIMIT 1");
  if (!file_.row(ask.get())) return std::nullopt;
  return LogPlace{token_, static_cast<std::uint64_t>(sqlite3_column_int64(ask.get(), 0)),
                  momentOf(sqlite3_column_double(ask.get(), 1))};
}

std::optional<double> SourceLog::momentAt(std::uint64_t seq) {
  const StatementPtr ask =
      file_.prepare(fmt::format("SELECT at FROM main.{} WHERE seq = {}", sqlName(names_.log), seq));
  if (!file_.row(ask.get())) return std::nullopt;
  return sqlite3_column_double(ask.get(), 0);
}

LogPlace SourceLog::trimmed() {
  const std::string facts = "SELECT value FROM main." + sqlName(names_.facts) + " WHERE name = ";
  const StatementPtr at = file_.prepare(facts + "'trimmedAt'");
  const double moment = file_.row(at.get()) ? sqlite3_column_double(at.get(), 0) : 0;
  return {token_, static_cast<std::uint64_t>(file_.number(facts + "'trimmed'").value_or(0)), momentOf(moment)};
}

std::string SourceLog::lostAfter(const LogPlace& place) {
  if (place.token != token_) {
    return fmt::format(
        "the change table is another one than that of position {}: it was dropped and made anew, or the "
        "database file was replaced",
        placeToText(place));
  }
  const LogPlace gone = trimmed();
  if (place.seq < gone.seq) {
    return fmt::format(
        "the change table begins after {}, behind position {}: somebody else acknowledged it, or the "
        "target was restored from a backup",
        gone.seq, placeToText(place));
  }
  if (place.seq == gone.seq && place.moment == gone.moment) return {};
  const auto moment = momentAt(place.seq);
  if (!moment || momentOf(*moment) != place.moment) {
    return fmt::format(
        "the change table has no change {} of that time any more: rows were removed from it, or the "
        "database was restored from a backup",
        placeToText(place));
  }
  return {};
}

std::optional<std::uint64_t> SourceLog::trim(std::uint64_t upTo, std::size_t rows) {
  const std::string log = "main." + sqlName(names_.log), facts = "main." + sqlName(names_.facts);
  file_.beBrief(true);
  std::optional<std::uint64_t> reached;
  try {
    SourceTransaction transaction(file_, SourceTransaction::Kind::write);
    const std::uint64_t from = trimmed().seq;
    const auto last = end();
    const std::uint64_t to = std::min({upTo, from + rows, last ? last->seq - 1 : 0});
    reached = std::max(from, to);
    if (const auto moment = to > from ? momentAt(to) : std::nullopt) {
      file_.exec(fmt::format("DELETE FROM {} WHERE seq <= {}", log, to));
      const StatementPtr note = file_.prepare("UPDATE " + facts + " SET value = ? WHERE name = ?");
      sqlite3_bind_int64(note.get(), 1, static_cast<std::int64_t>(to));
      sqlite3_bind_text(note.get(), 2, "trimmed", -1, SQLITE_STATIC);
      file_.run(note.get());
      sqlite3_bind_double(note.get(), 1, *moment);
      sqlite3_bind_text(note.get(), 2, "trimmedAt", -1, SQLITE_STATIC);
      file_.run(note.get());
    }
    transaction.commit();
  } catch (const Error& e) {
    file_.beBrief(false);
    if (e.code() == ErrorCode::queryFailed && e.retry() == Retry::later) return std::nullopt;  // locked
    throw;
  }
  file_.beBrief(false);
  return reached;
}

}  // namespace tidegate::sqlite::detail
