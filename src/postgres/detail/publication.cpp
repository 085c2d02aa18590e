#include "postgres/detail/publication.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "postgres/detail/catalogue.h"
#include "postgres/detail/server_versions.h"
#include "postgres/detail/sql.h"
#include "tidegate/core/error.h"
#include "tidegate/core/query.h"

namespace tidegate::postgres::detail {
namespace {

constexpr const char* kGeneratedStored = "publish_generated_columns = stored";

std::string quoted(std::string_view name) { return quoteIdentifier(Dialect::postgres, name); }

/// A table as it is to be published.
struct Member {
  std::string sql;  ///< `"public"."users" ("id", "name") WHERE (…)`
  bool filtered = false;
};

Member memberOf(const TableFacts& facts, const PublishedTable* how, int serverVersion) {
  Member member{facts.quoted(), false};
  if (how == nullptr || (how->columns.empty() && how->rowFilter.empty())) return member;
  if (serverVersion < kColumnListsSince) {
    throw Error(
        ErrorCode::invalidConfig, Retry::never,
        fmt::format("row filters and column lists of table {} need PostgreSQL 15; filter in the pipeline instead",
                    facts.fullName()));
  }
  member.filtered = true;
  std::string columns;
  for (const std::string& column : how->columns) columns += (columns.empty() ? "" : ", ") + quoted(column);
  if (!columns.empty()) member.sql += " (" + columns + ")";
  if (!how->rowFilter.empty()) member.sql += " WHERE (" + how->rowFilter + ")";
  return member;
}

/// By full name.
using Members = std::map<std::string, Member>;

Members membersOf(PGconn* connection, const PublicationOptions& options, const std::vector<std::string>& tables) {
  Members members;
  for (const std::string& table : tables) {
    const TableFacts facts = requireTable(connection, table);
    auto how = options.tables.find(table);
    if (how == options.tables.end()) how = options.tables.find(facts.fullName());
    members[facts.fullName()] =
        memberOf(facts, how == options.tables.end() ? nullptr : &how->second, PQserverVersion(connection));
  }
  return members;
}

std::string listOf(const Members& members) {
  std::string list;
  for (const auto& [name, member] : members) list += (list.empty() ? "" : ", ") + member.sql;
  return list;
}

/// Tables listed one by one, with their filter and columns as the catalogue has them, to tell whether they differ.
struct Published {
  bool all = false;  ///< FOR ALL TABLES, or for schemas: nothing to keep in step
  bool viaRoot = false;
  bool everything = true;                ///< inserts, updates, deletes, truncates
  bool generated = false;                ///< columns that are, too
  std::map<std::string, bool> tables{};  ///< by full name: whether filtered, or with a column list
};

Published readPublished(PGconn* connection, const std::string& name) {
  const int version = PQserverVersion(connection);
  const OwnedResult head = runSql(connection,
                                  fmt::format("SELECT puballtables, {}, pubinsert AND pubupdate AND pubdelete AND "
                                              "pubtruncate, {} FROM pg_catalog.pg_publication WHERE pubname = $1",
                                              version >= kViaRootSince ? "pubviaroot" : "false",
                                              version >= kGeneratedSince ? "pubgencols = 's'" : "false"),
                                  {name});
  Published out{.all = isTrue(head.get(), 0, 0), .viaRoot = isTrue(head.get(), 0, 1)};
  out.everything = isTrue(head.get(), 0, 2);
  out.generated = isTrue(head.get(), 0, 3);
  const OwnedResult rows = runSql(
      connection,
      fmt::format("SELECT n.nspname, c.relname, {} FROM pg_catalog.pg_publication p "
                  "JOIN pg_catalog.pg_publication_rel r ON r.prpubid = p.oid JOIN pg_catalog.pg_class c ON c.oid = "
                  "r.prrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE p.pubname = $1",
                  version >= kColumnListsSince ? "r.prqual IS NOT NULL OR r.prattrs IS NOT NULL" : "false"),
      {name});
  for (int i = 0; i < PQntuples(rows.get()); ++i) {
    out.tables[fullNameOf(cell(rows.get(), i, 0), cell(rows.get(), i, 1))] = isTrue(rows.get(), i, 2);
  }
  return out;
}

/// Runs it; a refusal names the statement, for whoever may run it.
void alter(PGconn* connection, const std::string& sql) {
  try {
    runSql(connection, sql);
  } catch (const Error& e) {
    if (e.code() == ErrorCode::connectionFailed || e.retry() == Retry::later) throw;
    throw Error(e.code(), Retry::afterOperator,
                fmt::format("the publication cannot be kept in step: {}. Let its owner run: {}", e.message(), sql));
  }
}

bool publishesGenerated(PGconn* connection, const PublicationOptions& options) {
  if (!options.generatedColumns) return false;
  if (PQserverVersion(connection) >= kGeneratedSince) return true;
  throw Error(ErrorCode::invalidConfig, Retry::never,
              "PublicationOptions::generatedColumns needs PostgreSQL 18; compute them where they are read instead");
}

void create(PGconn* connection, const PublicationOptions& options, const Members& members) {
  const int version = PQserverVersion(connection);
  std::string with;
  if (version >= kViaRootSince && options.viaPartitionRoot) with = "publish_via_partition_root = true";
  if (publishesGenerated(connection, options)) with += std::string(with.empty() ? "" : ", ") + kGeneratedStored;
  alter(connection, "CREATE PUBLICATION " + quoted(options.name) +
                        (members.empty() ? "" : " FOR TABLE " + listOf(members)) +
                        (with.empty() ? "" : " WITH (" + with + ")"));
}

void keepInStep(PGconn* connection, const PublicationOptions& options, Members members, OtherTables others) {
  const Published now = readPublished(connection, options.name);
  const std::string publication = "ALTER PUBLICATION " + quoted(options.name);
  if (now.viaRoot != options.viaPartitionRoot && PQserverVersion(connection) >= kViaRootSince) {
    alter(connection,
          publication + " SET (publish_via_partition_root = " + (options.viaPartitionRoot ? "true)" : "false)"));
  }
  if (!now.everything) alter(connection, publication + " SET (publish = 'insert, update, delete, truncate')");
  if (!now.generated && publishesGenerated(connection, options)) {
    alter(connection, publication + " SET (" + kGeneratedStored + ")");
  }
  if (now.all) return;
  Members missing, unwanted;
  for (const auto& [name, member] : members) {
    const auto listed = now.tables.find(name);
    if (listed == now.tables.end()) {
      missing.emplace(name, member);
    } else if (listed->second || member.filtered) {
      // Whether two conditions are the same cannot be told from their texts: it is set again, which changes nothing.
      unwanted[name].sql = quotedName(parseTableName(name).schema, parseTableName(name).name);
      missing.emplace(name, member);
    }
  }
  for (const auto& [name, filtered] : now.tables) {
    if (others == OtherTables::drop && members.count(name) == 0) {
      unwanted[name].sql = quotedName(parseTableName(name).schema, parseTableName(name).name);
    }
  }
  if (missing.empty() && unwanted.empty()) return;
  runSql(connection, "BEGIN");
  try {
    if (!unwanted.empty()) alter(connection, publication + " DROP TABLE " + listOf(unwanted));
    if (!missing.empty()) alter(connection, publication + " ADD TABLE " + listOf(missing));
    runSql(connection, "COMMIT");
  } catch (...) {
    if (PQstatus(connection) == CONNECTION_OK) runSql(connection, "ROLLBACK");
    throw;
  }
}

std::string readComment(PGconn* connection, const std::string& publication) {
  const OwnedResult rows = runSql(connection,
                                  "SELECT coalesce(pg_catalog.obj_description(oid, 'pg_publication'), '') FROM "
                                  "pg_catalog.pg_publication WHERE pubname = $1",
                                  {publication});
  return PQntuples(rows.get()) == 0 ? std::string() : std::string(cell(rows.get(), 0, 0));
}

std::string lineStart(const std::string& slot) { return "tidegate: slot " + slot + " begins at "; }

/// @param visit gets each line with its newline.
template <class Visit>
void forEachLine(std::string_view text, Visit&& visit) {
  while (!text.empty()) {
    const auto end = text.find('\n');
    const std::string_view line = text.substr(0, end == std::string_view::npos ? end : end + 1);
    visit(line);
    text.remove_prefix(line.size());
  }
}

}  // namespace

bool publicationExists(PGconn* connection, const std::string& name) {
  return PQntuples(runSql(connection, "SELECT 1 FROM pg_catalog.pg_publication WHERE pubname = $1", {name}).get()) > 0;
}

void keepPublication(PGconn* connection, const PublicationOptions& options, const std::vector<std::string>& tables,
                     OtherTables others) {
  if (options.manage == PublicationMode::leaveAlone) return;
  const bool exists = publicationExists(connection, options.name);
  if (exists && options.manage == PublicationMode::create) return;
  Members members = membersOf(connection, options, tables);
  if (!exists) return create(connection, options, members);
  keepInStep(connection, options, std::move(members), others);
}

std::optional<Lsn> slotBeginIn(const std::string& comment, const std::string& slot) {
  const std::string start = lineStart(slot);
  std::optional<Lsn> begin;
  forEachLine(comment, [&](std::string_view line) {
    if (!line.starts_with(start)) return;
    line.remove_prefix(start.size());
    begin = lsnFromText(line.substr(0, line.find('\n')));
  });
  return begin;
}

std::string withSlotBegin(const std::string& comment, const std::string& slot, Lsn begin) {
  const std::string start = lineStart(slot);
  std::string out;
  forEachLine(comment, [&](std::string_view line) {
    if (!line.starts_with(start)) out += line;
  });
  if (begin == 0) return out;
  if (!out.empty() && out.back() != '\n') out += '\n';
  return out + start + lsnToText(begin);
}

void noteSlotBegin(PGconn* connection, const PublicationOptions& options, const std::string& slot, Lsn begin) {
  if (options.manage == PublicationMode::leaveAlone || !publicationExists(connection, options.name)) return;
  const std::string comment = withSlotBegin(readComment(connection, options.name), slot, begin);
  alter(connection, "COMMENT ON PUBLICATION " + quoted(options.name) + " IS " + quotedLiteral(comment));
}

std::optional<Lsn> notedSlotBegin(PGconn* connection, const std::string& publication, const std::string& slot) {
  return slotBeginIn(readComment(connection, publication), slot);
}

void dropPublication(PGconn* connection, const PublicationOptions& options) {
  if (options.manage == PublicationMode::leaveAlone) return;
  runSql(connection, "DROP PUBLICATION IF EXISTS " + quoted(options.name));
}

}  // namespace tidegate::postgres::detail
