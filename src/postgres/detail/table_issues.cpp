#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "postgres/detail/catalogue.h"
#include "postgres/detail/server_versions.h"
#include "postgres/detail/sql.h"
#include "tidegate/core/error.h"
#include "tidegate/core/query.h"

namespace tidegate::postgres::detail {
namespace {

/// One part of a name, plain or in double quotes; leaves `text` after it.
std::string takeNamePart(std::string_view& text, std::string_view whole) {
  const auto refuse = [&]() -> std::string {
    throw Error(ErrorCode::invalidArgument, Retry::never,
                fmt::format("\"{}\" is no table name: write table, schema.table or \"Schema\".\"Table\"", whole));
  };
  std::string part;
  if (!text.starts_with('"')) {
    part = text.substr(0, text.find('.'));
    text.remove_prefix(part.size());
    return part.empty() || part.find('"') != std::string::npos ? refuse() : part;
  }
  for (text.remove_prefix(1); !text.empty(); text.remove_prefix(1)) {
    if (text.front() == '"') {
      if (!text.starts_with("\"\"")) break;
      text.remove_prefix(1);
    }
    part += text.front();
  }
  if (text.empty() || part.empty()) return refuse();
  text.remove_prefix(1);
  return part;
}

std::string namePart(std::string_view part) {
  return part.find_first_of(".\"") == std::string_view::npos ? std::string(part)
                                                             : quoteIdentifier(Dialect::postgres, part);
}

/// Collects the issues of one table.
class Judge {
 public:
  Judge(const std::string& asked, const TableFacts& facts, const PublicationUse& use)
      : asked_(asked), facts_(facts), use_(use) {}

  std::vector<TableIssue> issues() {
    if (!judgeKind()) return std::move(issues_);
    judgeRights();
    judgePublication();
    judgeIdentity();
    return std::move(issues_);
  }

 private:
  void add(ErrorCode code, std::string message, bool fatal = true) {
    issues_.push_back({asked_, code, std::move(message), fatal});
  }

  bool judgeKind() {
    std::string_view what;
    if (facts_.kind == 'v' || facts_.kind == 'm') what = "a view";
    if (facts_.kind == 'f') what = "a foreign table";
    if (facts_.persistence == 'u') what = "an unlogged table";
    if (facts_.persistence == 't') what = "a temporary table";
    if (what.empty()) return true;
    std::string remedy = "name the tables it reads instead";
    if (facts_.persistence == 'u') remedy = fmt::format("mend it with: ALTER TABLE {} SET LOGGED", facts_.quoted());
    if (facts_.persistence == 't') remedy = "use a permanent table";
    add(ErrorCode::typeUnsupported,
        fmt::format("\"{}\" is {}, whose changes Postgres does not log; {}", facts_.fullName(), what, remedy));
    return false;
  }

  void judgeRights() {
    if (!facts_.canSelect) {
      add(ErrorCode::permissionDenied,
          fmt::format(
              "the connecting role may not read \"{}\"; mend it with: GRANT USAGE ON SCHEMA {} TO <role>; GRANT "
              "SELECT ON {} TO <role>",
              facts_.fullName(), quoteIdentifier(Dialect::postgres, facts_.schema), facts_.quoted()));
    }
    if (facts_.rowSecurity) {
      add(ErrorCode::permissionDenied,
          fmt::format(
              "row-level security hides rows of \"{}\" from the baseline but not from the stream; mend it with: "
              "ALTER ROLE <role> BYPASSRLS",
              facts_.fullName()));
    }
  }

  void judgePublication() {
    const bool viaRoot = use_.managed ? use_.viaRoot : facts_.publication.viaRoot;
    if (facts_.kind == 'p' && !viaRoot) {
      add(ErrorCode::slotInvalid,
          fmt::format("\"{}\" is partitioned and its changes are published under its partitions' names ({}): ask for "
                      "those, or publish under its own: ALTER PUBLICATION {} SET (publish_via_partition_root = true)",
                      facts_.fullName(), fmt::join(facts_.leaves, ", "), publicationName()));
    } else if (!facts_.root.empty() && viaRoot && !facts_.publication.listed) {
      add(ErrorCode::slotInvalid,
          fmt::format("\"{}\" is a partition and its changes are published under the name of \"{}\": ask for that, or "
                      "run: ALTER PUBLICATION {} SET (publish_via_partition_root = false)",
                      facts_.fullName(), facts_.root, publicationName()));
    } else if (!use_.managed && !use_.name.empty() && !facts_.publication.exists) {
      add(ErrorCode::slotInvalid, fmt::format("there is no publication \"{}\"; make it with: CREATE PUBLICATION {} FOR "
                                              "TABLE {}",
                                              use_.name, publicationName(), facts_.quoted()));
    } else if (!use_.managed && !use_.name.empty() && !facts_.publication.listed) {
      add(ErrorCode::slotInvalid,
          fmt::format("publication \"{}\" does not have \"{}\"; mend it with: ALTER PUBLICATION {} ADD TABLE {}",
                      use_.name, facts_.fullName(), publicationName(), facts_.quoted()));
    } else if (!use_.managed) {
      judgeOperations();
    }
  }

  void judgeOperations() {
    const PublicationFacts& p = facts_.publication;
    if (p.inserts && p.updates && p.erases && p.truncates) return;
    add(ErrorCode::slotInvalid,
        fmt::format(
            "publication \"{}\" leaves out some of insert, update, delete and truncate, so a copy of \"{}\" will "
            "differ; mend it with: ALTER PUBLICATION {} SET (publish = 'insert, update, delete, truncate')",
            use_.name, facts_.fullName(), publicationName()),
        false);
  }

  void judgeIdentity() {
    const PublicationFacts& p = facts_.publication;
    if (p.updates || p.erases) {
      if (facts_.kind == 'p') {
        for (const std::string& leaf : facts_.leavesWithoutIdentity) addNoIdentity(leaf);
      } else if (!facts_.identityUsable) {
        addNoIdentity(facts_.fullName());
      }
    }
    if (facts_.identity == ReplicaIdentity::full && (p.updates || p.erases)) judgeFullIdentity();
    judgeColumnList();
    if (facts_.primaryKey.empty() && facts_.identityKey.empty() && facts_.identityUsable) {
      add(ErrorCode::noReplicaIdentity,
          fmt::format("\"{}\" has no primary key: its rows are told apart by all their columns, and two that are alike "
                      "cannot be; better: ALTER TABLE {} ADD PRIMARY KEY (…)",
                      facts_.fullName(), facts_.quoted()),
          false);
    }
  }

  void judgeColumnList() {
    const std::vector<std::string>& identity = facts_.identityKey;
    for (const ColumnFacts& column : facts_.columns) {
      if (isPublished(column) || std::find(identity.begin(), identity.end(), column.name) == identity.end()) continue;
      if (column.generated != Generated::no) {
        judgeGeneratedKey(column);
        continue;
      }
      add(ErrorCode::noReplicaIdentity,
          fmt::format("the column list of \"{}\" in publication \"{}\" leaves out \"{}\", a column of its replica "
                      "identity; add it with: ALTER PUBLICATION {} SET TABLE {} (…)",
                      facts_.fullName(), use_.name, column.name, publicationName(), facts_.quoted()));
    }
  }

  /// With FULL every column is part of the identity, and the server refuses updates where one is not published.
  void judgeFullIdentity() {
    if (hasColumnList()) {
      add(ErrorCode::noReplicaIdentity,
          fmt::format("publication \"{}\" has a column list for \"{}\", whose replica identity is FULL, so Postgres "
                      "refuses its updates and deletes; mend it with: {}",
                      use_.name, facts_.fullName(), plainIdentity()));
    }
    if (facts_.serverVersion < kGeneratedSince) return;
    for (const ColumnFacts& column : facts_.columns) {
      if (isPublished(column) || column.generated == Generated::no) continue;
      const bool stored = column.generated == Generated::stored && !hasColumnList();
      add(ErrorCode::noReplicaIdentity,
          fmt::format("\"{}\" has REPLICA IDENTITY FULL and the generated column \"{}\", which is not published, so "
                      "PostgreSQL 18 refuses its updates and deletes while it is published; mend it with: {}",
                      facts_.fullName(), column.name, stored ? publishGenerated() : plainIdentity()));
      return;
    }
  }

  bool hasColumnList() const { return use_.managed ? !use_.columns.empty() : facts_.publication.columnList; }

  /// A managed publication will be as its options say, whatever it is now.
  bool isPublished(const ColumnFacts& column) const {
    if (!use_.managed) return column.published;
    if (column.generated == Generated::computed) return false;
    const std::vector<std::string>& list = use_.columns;
    if (!list.empty()) return std::find(list.begin(), list.end(), column.name) != list.end();
    return column.generated == Generated::no || use_.generated || column.published;
  }

  std::string publishGenerated() const {
    const std::string sql =
        fmt::format("ALTER PUBLICATION {} SET (publish_generated_columns = stored)", publicationName());
    return use_.managed ? "PublicationOptions::generatedColumns = true, or: " + sql : sql;
  }

  std::string plainIdentity() const {
    if (!facts_.primaryKey.empty()) return fmt::format("ALTER TABLE {} REPLICA IDENTITY DEFAULT", facts_.quoted());
    return fmt::format("ALTER TABLE {0} ADD PRIMARY KEY (…); ALTER TABLE {0} REPLICA IDENTITY DEFAULT",
                       facts_.quoted());
  }

  void judgeGeneratedKey(const ColumnFacts& column) {
    const bool refuses = facts_.serverVersion >= kGeneratedSince;
    const std::string what =
        fmt::format("\"{}\", a column of the replica identity of \"{}\", is generated and not published, so ",
                    column.name, facts_.fullName());
    if (refuses) {
      add(ErrorCode::noReplicaIdentity,
          fmt::format("{}PostgreSQL 18 refuses updates and deletes while it is published; mend it with: {}", what,
                      publishGenerated()));
      return;
    }
    add(ErrorCode::noReplicaIdentity,
        fmt::format(
            "{}its rows are told apart by all their columns; better: ALTER TABLE {} REPLICA IDENTITY USING INDEX "
            "<a unique index over plain NOT NULL columns>",
            what, facts_.quoted()),
        false);
  }

  void addNoIdentity(const std::string& table) {
    const TableName name = parseTableName(table);
    const std::string quoted = quotedName(name.schema, name.name);
    const bool hasKey = !facts_.primaryKey.empty();
    const std::string mend = hasKey ? fmt::format("ALTER TABLE {} REPLICA IDENTITY DEFAULT", quoted)
                                    : fmt::format(
                                          "ALTER TABLE {} ADD PRIMARY KEY (…), or ALTER TABLE {} REPLICA "
                                          "IDENTITY USING INDEX <a unique index over NOT NULL columns>, or "
                                          "ALTER TABLE {} REPLICA IDENTITY FULL",
                                          quoted, quoted, quoted);
    add(ErrorCode::noReplicaIdentity,
        fmt::format(
            "\"{}\" has no usable replica identity ({}), so Postgres refuses its updates and deletes while it is "
            "published; mend it with: {}",
            table, identityText(), mend));
  }

  std::string_view identityText() const {
    switch (facts_.identity) {
      case ReplicaIdentity::nothing:
        return "REPLICA IDENTITY NOTHING";
      case ReplicaIdentity::usingIndex:
        return "the index of its REPLICA IDENTITY is gone or invalid";
      default:
        return "no primary key";
    }
  }

  std::string publicationName() const {
    return use_.name.empty() ? "<name>" : quoteIdentifier(Dialect::postgres, use_.name);
  }

  const std::string& asked_;
  const TableFacts& facts_;
  const PublicationUse& use_;
  std::vector<TableIssue> issues_;
};

}  // namespace

TableName parseTableName(std::string_view text) {
  std::string_view rest = text;
  TableName name;
  name.name = takeNamePart(rest, text);
  if (rest.starts_with('.')) {
    rest.remove_prefix(1);
    name.schema = std::move(name.name);
    name.name = takeNamePart(rest, text);
  }
  if (!rest.empty()) {
    throw Error(
        ErrorCode::invalidArgument, Retry::never,
        fmt::format("\"{}\" has more parts than schema.table; a part with a dot is written in double quotes", text));
  }
  return name;
}

std::string fullNameOf(std::string_view schema, std::string_view name) {
  return namePart(schema) + "." + namePart(name);
}

std::string TableFacts::quoted() const { return quotedName(schema, name); }

std::vector<const ColumnFacts*> TableFacts::sentColumns() const {
  std::vector<const ColumnFacts*> sent;
  for (const ColumnFacts& column : columns) {
    if (column.published) sent.push_back(&column);
  }
  return sent;
}

std::vector<std::string> TableFacts::key() const {
  const std::vector<std::string>& key = identityKey.empty() ? primaryKey : identityKey;
  const auto sent = sentColumns();
  for (const std::string& wanted : key) {
    if (std::none_of(sent.begin(), sent.end(), [&](const ColumnFacts* c) { return c->name == wanted; })) return {};
  }
  return key;
}

Shape shapeOf(const TableFacts& facts) {
  TableSchema schema;
  schema.table = facts.fullName();
  for (const ColumnFacts* column : facts.sentColumns()) {
    schema.columns.push_back({.name = column->name,
                              .kind = mappingOf(column->type.baseOid, true).kind,
                              .nullable = column->nullable,
                              .sourceType = column->type.name});
  }
  schema.primaryKey = facts.key();
  return makeShape(std::move(schema));
}

std::vector<TableIssue> issuesOf(const std::string& table, const std::optional<TableFacts>& facts,
                                 const PublicationUse& use) {
  if (!facts) {
    return {
        {table, ErrorCode::tableNotFound,
         fmt::format("there is no table \"{}\" in this database; check its name, its schema and search_path", table),
         true}};
  }
  return Judge(table, *facts, use).issues();
}

}  // namespace tidegate::postgres::detail
