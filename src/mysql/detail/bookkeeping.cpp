#include "mysql/detail/bookkeeping.h"

#include <fmt/format.h>

#include <set>

namespace tidegate::mysql::detail {
namespace {

/// Waits for a lock in seconds, by GET_LOCK.
constexpr int kLockPatience = 5;

/// Statements that make the tables; {0} is the prefix's start of a quoted name, {1} the collation.
std::string bookTables(const std::string& collation, const std::function<std::string(std::string_view)>& table,
                       std::size_t i) {
  const std::string text = fmt::format("CHARACTER SET utf8mb4 COLLATE {}", collation);
  const std::string create = "CREATE TABLE IF NOT EXISTS ";
  switch (i) {
    case 0:
      return fmt::format(
          "{}{} (pipeline varchar(255) {} PRIMARY KEY, epoch bigint NOT NULL, checkpoint longtext {}, "
          "commits bigint NOT NULL DEFAULT 0, committed_at datetime(6)) ENGINE = InnoDB",
          create, table("checkpoints"), text, text);
    case 1:
      return fmt::format(
          "{}{} (pipeline varchar(255) {}, target varchar(255) {}, tracked boolean NOT NULL, PRIMARY KEY "
          "(pipeline, target)) ENGINE = InnoDB",
          create, table("baselines"), text, text);
    case 2:
      return fmt::format(
          "{}{} (target varchar(255) {}, was varchar(64) {}, now varchar(64) {}, PRIMARY KEY (target, was)) "
          "ENGINE = InnoDB",
          create, table("moved"), text, text, text);
    default:
      return fmt::format(
          "{}{} (pipeline varchar(255) {}, target varchar(255) {}, name varchar(64) {}, PRIMARY KEY "
          "(pipeline, target, name)) ENGINE = InnoDB",
          create, table("drops"), text, text, text);
  }
}

std::int64_t firstNumber(const TextRows& rows) { return rows.empty() ? 0 : std::stoll(rows[0][0].value_or("0")); }

}  // namespace

Bookkeeping::Bookkeeping(SinkConnection& connection, std::string prefix, std::string pipeline)
    : connection_(connection), prefix_(std::move(prefix)), pipeline_(std::move(pipeline)) {}

std::optional<std::string> Bookkeeping::takeOver(std::int64_t heldEpoch) {
  makeTables();
  epoch_ = heldEpoch;
  if (heldEpoch != 0 && storedEpoch() != heldEpoch) refuseFenced();
  endWriterBefore();
  connection_.begin();
  // Waits for a commit of the writer before that is still under way, and then sees it.
  const TextRows before = connection_.ask(
      fmt::format("SELECT epoch, checkpoint FROM {} WHERE pipeline = ? FOR UPDATE", table("checkpoints")), {pipeline_});
  if (heldEpoch != 0 && firstNumber(before) != heldEpoch) refuseFenced();
  epoch_ = firstNumber(before) + 1;
  connection_.write(fmt::format("INSERT INTO {} (pipeline, epoch) VALUES (?, ?) ON DUPLICATE KEY UPDATE epoch = "
                                "VALUES(epoch)",
                                table("checkpoints")),
                    {pipeline_, epoch_});
  connection_.commit();
  dropColumns();
  return before.empty() ? std::nullopt : before[0][1];
}

std::int64_t Bookkeeping::storedEpoch() {
  return firstNumber(
      connection_.ask(fmt::format("SELECT epoch FROM {} WHERE pipeline = ?", table("checkpoints")), {pipeline_}));
}

void Bookkeeping::refuseFenced() const {
  throw Error(ErrorCode::fenced, Retry::afterOperator,
              fmt::format("another writer took over pipeline \"{}\" (epoch {} is no longer the last): end one of the "
                          "two; this one takes over when it is opened again",
                          pipeline_, epoch_));
}

void Bookkeeping::write(std::string_view checkpoint) {
  // The count makes it a change in any case: only changed rows are counted as written.
  const std::uint64_t written = connection_.write(
      fmt::format(
          "UPDATE {} SET checkpoint = ?, commits = commits + 1, committed_at = UTC_TIMESTAMP(6) WHERE pipeline = "
          "? AND epoch = ?",
          table("checkpoints")),
      {checkpoint, pipeline_, epoch_});
  if (written != 1) refuseFenced();
}

BaselineState Bookkeeping::baselineOf(const TargetName& target) {
  const TextRows found =
      connection_.ask(fmt::format("SELECT tracked FROM {} WHERE pipeline = ? AND target = ?", table("baselines")),
                      {pipeline_, target.text});
  return {.active = !found.empty(), .tracked = firstNumber(found) != 0};
}

BaselineState Bookkeeping::beginBaseline(const SinkTable& target, bool targetIsEmpty) {
  connection_.write("DELETE FROM " + target.namedTable(), {});
  connection_.write(fmt::format("INSERT INTO {} VALUES (?, ?, ?) ON DUPLICATE KEY UPDATE tracked = VALUES(tracked)",
                                table("baselines")),
                    {pipeline_, target.name().text, targetIsEmpty ? 0 : 1});
  return {.active = true, .tracked = !targetIsEmpty};
}

void Bookkeeping::endBaseline(const TargetName& target) {
  connection_.write(fmt::format("DELETE FROM {} WHERE pipeline = ? AND target = ?", table("baselines")),
                    {pipeline_, target.text});
}

std::string Bookkeeping::namedTableFor(const TargetName& target, const Shape& shape, const CatalogTable& catalog,
                                       const Moved& moved) {
  const std::string hash =
      // MySQL has no MD5 any more.
      connection_.ask("SELECT SHA2(CONCAT(?, CHAR(0), ?), 256)", {pipeline_, target.text})[0][0].value_or("").substr(
          0, 20);
  const TargetName name(prefix_ + "named_" + hash, connection_.database());
  std::string columns, keys;
  const CatalogTable there = readCatalog(connection_, name);
  bool same = there.exists;
  for (std::size_t i = 0; i < shape->key.size(); ++i) {
    const std::string& given = shape->schema.primaryKey[i];
    const auto at = catalog.columns.find(given);
    const CatalogColumn& column = at != catalog.columns.end() ? at->second : catalog.columns.at(moved.at(given));
    const std::string k = fmt::format("k{}", i + 1);
    same = same && there.columns.count(k) != 0 && there.columns.at(k).definition() == column.definition();
    columns += fmt::format("{} {} NOT NULL, ", k, column.definition());
    keys += (keys.empty() ? "" : ", ") + k;
  }
  if (same && there.columns.size() == shape->key.size()) return name.quotedName;
  if (there.exists) connection_.define("DROP TABLE " + name.quotedName);
  connection_.define(fmt::format("CREATE TABLE {} ({}PRIMARY KEY ({})) ENGINE = InnoDB ROW_FORMAT = DYNAMIC",
                                 name.quotedName, columns, keys));
  return name.quotedName;
}

Moved Bookkeeping::movedOf(const TargetName& target) {
  Moved moved;
  for (const auto& row :
       connection_.ask(fmt::format("SELECT was, now FROM {} WHERE target = ?", table("moved")), {target.text})) {
    moved.emplace(*row[0], *row[1]);
  }
  return moved;
}

void Bookkeeping::willMove(const TargetName& target, const std::string& was, const std::string& now) {
  // Outside of the unit: it has to be there before the DDL statement is.
  connection_.rollback();
  connection_.write(
      fmt::format("INSERT INTO {} VALUES (?, ?, ?) ON DUPLICATE KEY UPDATE now = VALUES(now)", table("moved")),
      {target.text, was, now});
  connection_.begin();
}

void Bookkeeping::forgetMoved(const TargetName& target) {
  connection_.write(fmt::format("DELETE FROM {} WHERE target = ?", table("moved")), {target.text});
}

void Bookkeeping::willDrop(const TargetName& target, const std::string& column) {
  connection_.write(fmt::format("INSERT INTO {} VALUES (?, ?, ?) ON DUPLICATE KEY UPDATE name = name", table("drops")),
                    {pipeline_, target.text, column});
}

bool Bookkeeping::keepAfterAll(const TargetName& target, const std::string& column) {
  return connection_.write(fmt::format("DELETE FROM {} WHERE pipeline = ? AND target = ? AND name = ?", table("drops")),
                           {pipeline_, target.text, column}) != 0;
}

void Bookkeeping::dropColumns() {
  const TextRows drops =
      connection_.ask(fmt::format("SELECT target, name FROM {} WHERE pipeline = ?", table("drops")), {pipeline_});
  for (const auto& row : drops) {
    const TargetName target(*row[0], connection_.database());
    if (readCatalog(connection_, target).columns.count(*row[1]) != 0) {
      connection_.define(fmt::format("ALTER TABLE {} DROP COLUMN {}", target.quotedName, quoted(*row[1])));
    }
    keepAfterAll(target, *row[1]);
  }
}

void Bookkeeping::makeTables() {
  const TextRows found = connection_.ask(
      "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME IN (?, ?, ?, ?)",
      {prefix_ + "checkpoints", prefix_ + "baselines", prefix_ + "moved", prefix_ + "drops"});
  if (firstNumber(found) == 4) return;
  try {
    for (std::size_t i = 0; i < 4; ++i) {
      connection_.define(bookTables(
          connection_.exactCollation(), [&](std::string_view n) { return table(n); }, i));
    }
  } catch (const Error& e) {
    if (e.code() != ErrorCode::permissionDenied) throw;
    throw Error(
        e.code(), e.retry(),
        fmt::format("the sink cannot make its tables: {}: GRANT CREATE, ALTER, DROP, INDEX, SELECT, INSERT, UPDATE, "
                    "DELETE ON {}.* TO {}",
                    e.message(), quoted(connection_.database()), connection_.account()));
  }
}

void Bookkeeping::endWriterBefore() {
  const std::string name = fmt::format(
      "tidegate:{}",
      connection_.ask("SELECT LEFT(SHA2(CONCAT(DATABASE(), CHAR(0), ?, ?), 256), 32)", {prefix_, pipeline_})[0][0]
          .value_or(""));
  const TextRows held = connection_.ask("SELECT IS_USED_LOCK(?), CONNECTION_ID()", {name});
  if (held[0][0] && held[0][0] != held[0][1]) {
    try {
      connection_.run("KILL " + *held[0][0]);
    } catch (const Error& e) {  // gone by itself, or not ours to end: then it is fenced by its epoch all the same
      if (e.code() == ErrorCode::connectionFailed) throw;
    }
  }
  connection_.ask("SELECT GET_LOCK(?, " + std::to_string(kLockPatience) + ")", {name});
}

}  // namespace tidegate::mysql::detail
