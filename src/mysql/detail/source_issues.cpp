#include "mysql/detail/source_issues.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "mysql/detail/name_fold.h"
#include "tidegate/core/query.h"

namespace tidegate::mysql::detail {
namespace {

using Variables = std::map<std::string, std::string>;

/// Those of the server that are judged, in upper case, without those that it does not have.
Variables variablesOf(CLink& link) {
  Variables variables;
  for (const auto& cells :
       link.ask("SHOW GLOBAL VARIABLES WHERE Variable_name IN ('log_bin', 'binlog_format', 'binlog_row_image', "
                "'binlog_row_metadata', 'binlog_row_value_options', 'gtid_mode', 'gtid_strict_mode')")) {
    std::string value = cells.at(1).value_or("");
    std::transform(value.begin(), value.end(), value.begin(),
                   [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
    variables[cells.at(0).value_or("")] = std::move(value);
  }
  return variables;
}

/// Foreign keys of the table that change its rows where those they refer to change. InnoDB does so below the binlog.
std::vector<std::string> actingConstraints(CLink& link, const TableName& name) {
  constexpr std::string_view kActs = "IN ('CASCADE', 'SET NULL', 'SET DEFAULT')";
  std::vector<std::string> names;
  for (const auto& cells : link.ask(
           fmt::format("SELECT CONSTRAINT_NAME FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE "
                       "CONSTRAINT_SCHEMA = {} AND TABLE_NAME = {} AND (DELETE_RULE {} OR UPDATE_RULE {}) ORDER BY 1",
                       literal(name.database), literal(name.table), kActs, kActs))) {
    names.push_back(cells.at(0).value_or(""));
  }
  return names;
}

class ServerJudge {
 public:
  ServerJudge(CLink& link, const SourceOptions& options)
      : link_(link), options_(options), variables_(variablesOf(link)) {}

  std::vector<TableIssue> issues() {
    if (variable("log_bin") != "ON") {
      add(ErrorCode::slotInvalid,
          "the server writes no binlog; mend it with the lines log_bin and binlog_format = ROW in its configuration, "
          "then restart it");
      return std::move(issues_);
    }
    judgeFormat();
    judgeGtids();
    judgeRights();
    judgeServerId();
    return std::move(issues_);
  }

 private:
  void add(ErrorCode code, std::string message, bool fatal = true) {
    issues_.push_back({"", code, std::move(message), fatal});
  }
  /// Empty where the server has none of that name.
  std::string variable(const std::string& name) const {
    const auto at = variables_.find(name);
    return at == variables_.end() ? std::string() : at->second;
  }
  void judgeFormat() {
    if (const std::string format = variable("binlog_format"); !format.empty() && format != "ROW") {
      add(ErrorCode::slotInvalid,
          fmt::format("binlog_format is {}, and changes logged as statements cannot be read; mend it "
                      "with: SET GLOBAL binlog_format = ROW (sessions that are open keep theirs)",
                      format));
    }
    const std::string image = variable("binlog_row_image");
    if (image == "MINIMAL" || image == "NOBLOB") {
      add(ErrorCode::slotInvalid,
          fmt::format(
              "binlog_row_image is {}: columns that an INSERT does not name are read again from the table, and the "
              "old row of an update is only its key. Mend it with: SET GLOBAL binlog_row_image = FULL",
              image),
          false);
    }
    const std::string metadata = variable("binlog_row_metadata");
    if (metadata != "FULL") {
      add(ErrorCode::slotInvalid,
          fmt::format(
              "binlog_row_metadata is {}: after an ALTER TABLE that is read late the binlog does not say what the "
              "columns were called, and the table is read anew. Mend it with: SET GLOBAL binlog_row_metadata = FULL",
              metadata.empty() ? "missing" : metadata),
          false);
    }
    const bool parts = variable("binlog_row_value_options").find("PARTIAL_JSON") != std::string::npos;
    if (parts && image != "FULL") {
      add(ErrorCode::slotInvalid,
          fmt::format(
              "the server logs parts of JSON documents (binlog_row_value_options), and with binlog_row_image = {} "
              "not what they were before: they are read again from the table. Mend it with: SET GLOBAL "
              "binlog_row_value_options = ''",
              image),
          false);
    }
  }
  void judgeGtids() {
    if (!link_.isMariaDb()) {
      const std::string mode = variable("gtid_mode");
      if (options_.positions != PositionBy::gtid || mode == "ON") return;
      add(ErrorCode::slotInvalid,
          fmt::format("gtid_mode is {}, and positions are to be made of GTIDs; mend it with: SET GLOBAL "
                      "enforce_gtid_consistency = ON, then SET GLOBAL gtid_mode = OFF_PERMISSIVE, ON_PERMISSIVE and ON "
                      "one after the other; or use PositionBy::file",
                      mode.empty() ? "missing" : mode));
      return;
    }
    if (options_.positions == PositionBy::file || variable("gtid_strict_mode") == "ON") return;
    add(ErrorCode::slotInvalid,
        "gtid_strict_mode is OFF: where two servers write one domain, the order of their transactions is not that of "
        "their GTIDs, and the source ends with positionLost. Mend it with: SET GLOBAL gtid_strict_mode = ON",
        false);
  }
  /// @param names of the privilege on servers old and new; any of them will do.
  bool has(const std::string& grants, std::initializer_list<std::string_view> names) {
    return std::any_of(names.begin(), names.end(),
                       [&](std::string_view name) { return grants.find(name) != std::string::npos; });
  }
  void judgeRights() {
    std::string global;
    for (const auto& cells : link_.ask("SHOW GRANTS")) {
      const std::string grant = cells.at(0).value_or("");
      if (grant.find(" ON *.*") != std::string::npos) global += grant.substr(0, grant.find(" ON *.*")) + ",";
    }
    if (has(global, {"ALL PRIVILEGES", "SUPER"})) return;
    const std::string account = link_.askText("SELECT CURRENT_USER()");
    if (!has(global, {"REPLICATION SLAVE", "REPLICATION REPLICA"})) {
      add(ErrorCode::permissionDenied,
          fmt::format("{0} may not read the binlog; mend it with: GRANT REPLICATION SLAVE ON *.* TO {0}",
                      quoted(account)));
    }
    if (!has(global, {"REPLICATION CLIENT", "BINLOG MONITOR"})) {
      add(ErrorCode::permissionDenied,
          fmt::format(
              "{0} may not ask for the binlog's files, so how far the source lags is not known; mend it with: GRANT "
              "{1} ON *.* TO {0}",
              quoted(account), link_.isMariaDb() ? "BINLOG MONITOR" : "REPLICATION CLIENT"),
          options_.positions == PositionBy::file || !link_.isMariaDb());
    }
    if (!link_.isMariaDb() && !has(global, {"RELOAD", "FLUSH_TABLES"})) {
      const bool gtids = variable("gtid_mode") == "ON";
      add(ErrorCode::permissionDenied,
          fmt::format(
              "{0} may not lock the tables for the moment of a snapshot{1}; mend it with: GRANT RELOAD ON *.* TO {0}",
              quoted(account), gtids ? ", which is needed where somebody always commits" : ""),
          !gtids);
    }
  }
  static std::string quoted(const std::string& account) {
    const auto at = account.rfind('@');
    return literal(account.substr(0, at)) + "@" + literal(at == std::string::npos ? "%" : account.substr(at + 1));
  }
  void judgeServerId() {
    const std::string own = std::to_string(options_.serverId);
    if (link_.askText("SELECT @@server_id") == own) {
      add(ErrorCode::slotInvalid,
          fmt::format("SourceOptions::serverId is {}, which is the server's own; give the source another", own));
    }
    try {
      for (const auto& cells : link_.ask(link_.isMariaDb() ? "SHOW SLAVE HOSTS" : "SHOW REPLICAS")) {
        if (cells.at(0) != own) continue;
        add(ErrorCode::slotInvalid,
            fmt::format("SourceOptions::serverId is {}, which another replica has; give the source another", own));
      }
    } catch (const Error& e) {
      // Not allowed, or called otherwise before MySQL 8.0.22: a collision shows when the stream begins.
      if (e.code() == ErrorCode::connectionFailed) throw;
    }
  }

  CLink& link_;
  const SourceOptions& options_;
  const Variables variables_;
  std::vector<TableIssue> issues_;
};

}  // namespace

std::vector<TableIssue> issuesOfServer(CLink& link, const SourceOptions& options) {
  return ServerJudge(link, options).issues();
}

std::vector<TableIssue> issuesOfNames(CLink& link, const std::vector<std::pair<std::string, TableName>>& asked) {
  std::vector<TableIssue> issues;
  if (asked.size() < 2 || !foldsNames(link)) return issues;
  NameFold fold([&](const std::string& sql) { return link.ask(sql); });
  std::map<TableName, TableName> seen;
  for (const auto& [text, name] : asked) {
    const auto [at, added] = seen.emplace(fold(name), name);
    if (added || at->second == name) continue;
    issues.push_back({text, ErrorCode::invalidConfig,
                      fmt::format("{} and {} are one table: the server does not tell names apart by their case "
                                  "(lower_case_table_names); call it by one name",
                                  name.full(), at->second.full()),
                      true});
  }
  return issues;
}

std::vector<TableIssue> issuesOfTable(CLink& link, const std::string& asked, const TableName& name) {
  std::vector<TableIssue> issues;
  const auto add = [&](ErrorCode code, std::string message, bool fatal = true) {
    issues.push_back({asked, code, std::move(message), fatal});
  };
  const std::optional<CatalogueTable> table = readCatalogueTable(link, name);
  if (!table) {
    add(ErrorCode::tableNotFound,
        fmt::format("table {} does not exist, or the account may not see it; make it, or: GRANT SELECT ON {} TO …",
                    name.full(), name.quoted()));
    return issues;
  }
  if (table->keepsHistory()) {
    add(ErrorCode::typeUnsupported, historyText(name));
    return issues;
  }
  if (table->type != "BASE TABLE") {
    add(ErrorCode::typeUnsupported,
        fmt::format("{} is a {}, whose changes the binlog does not have as rows of their own; name the tables it reads "
                    "instead",
                    name.full(), table->type));
    return issues;
  }
  try {
    link.ask(fmt::format("SELECT 1 FROM {} LIMIT 0", name.quoted()));
  } catch (const Error& e) {
    if (e.code() != ErrorCode::permissionDenied) throw;
    add(ErrorCode::permissionDenied, fmt::format("the account may not read {0}; mend it with: GRANT SELECT ON {1} TO …",
                                                 name.full(), name.quoted()));
  }
  if (table->key.empty()) {
    add(ErrorCode::noReplicaIdentity,
        fmt::format(
            "{} has no primary key, so nobody can tell which row a change means; mend it with: ALTER TABLE {} ADD "
            "PRIMARY KEY (…)",
            name.full(), name.quoted()));
  }
  for (const std::string& constraint : actingConstraints(link, name)) {
    add(ErrorCode::typeUnsupported,
        fmt::format("rows of {0} that its foreign key {1} erases or changes (CASCADE, SET NULL, SET DEFAULT) are in no "
                    "binlog, and the replica keeps them as they were. Mend it with: ALTER TABLE {2} DROP FOREIGN KEY "
                    "{3}, then the same constraint with RESTRICT, and change those rows by statements of your own",
                    name.full(), constraint, name.quoted(), quoteIdentifier(Dialect::mysql, constraint)),
        false);
  }
  constexpr std::array<std::string_view, 3> kSnapshots{"InnoDB", "ROCKSDB", "TokuDB"};
  if (std::find(kSnapshots.begin(), kSnapshots.end(), table->engine) == kSnapshots.end()) {
    add(ErrorCode::typeUnsupported,
        fmt::format(
            "{} is kept by {}, which has no snapshots: rows written while a baseline reads may come twice. Mend it "
            "with: ALTER TABLE {} ENGINE = InnoDB",
            name.full(), table->engine, name.quoted()),
        false);
  }
  return issues;
}

}  // namespace tidegate::mysql::detail
