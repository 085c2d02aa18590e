/// What Postgres's catalogue says of a table: its shape, its key, and whether it can be streamed.
#pragma once

#include <libpq-fe.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "postgres/detail/type_map.h"
#include "tidegate/source/change_event.h"
#include "tidegate/source/sync_source.h"

namespace tidegate::postgres::detail {

/// A name as users write it: "users" (found by search_path) or "public.users". A part that holds a dot or a quote is
/// written in double quotes, as in SQL; nothing is folded to lower case.
struct TableName {
  std::string schema{};  ///< empty: by search_path
  std::string name{};
  bool operator==(const TableName&) const = default;
};
/// @throws Error{invalidArgument}
TableName parseTableName(std::string_view text);
/// The full name that events have: "public.users". `parseTableName` reads it back.
std::string fullNameOf(std::string_view schema, std::string_view name);

/// pg_class.relreplident.
enum class ReplicaIdentity : char { byDefault = 'd', nothing = 'n', full = 'f', usingIndex = 'i' };

/// pg_attribute.attgenerated. Stored ones are published from PostgreSQL 18 on, where the publication says so; those
/// that are computed as they are read never are.
enum class Generated : char { no = '\0', stored = 's', computed = 'v' };

struct ColumnFacts {
  std::string name{};
  TypeFacts type{};
  int number = 0;  ///< pg_attribute.attnum
  bool nullable = true;
  Generated generated = Generated::no;
  bool published = true;  ///< the stream sends it: not what a column list leaves out, nor, as a rule, what is generated
};

/// What a publication says of the table; the defaults are those of a publication that this process makes itself.
struct PublicationFacts {
  bool exists = true;
  bool listed = true;  ///< changes of this table come, under this table's name
  bool viaRoot = false;
  bool inserts = true, updates = true, erases = true, truncates = true;
  bool columnList = false;  ///< it names the table's columns one by one
  std::string rowFilter{};  ///< SQL condition over the table's columns; empty: none
};

struct TableFacts {
  unsigned oid = 0;
  int serverVersion = 0;  ///< 180001
  std::string schema{}, name{};
  char kind = 'r';                    ///< pg_class.relkind: r table, p partitioned table, v view, …
  char persistence = 'p';             ///< p permanent, u unlogged, t temporary
  std::string root{};                 ///< full name of the partitioned table that it is part of; empty: of none
  std::vector<std::string> leaves{};  ///< of a partitioned table: the full names of its partitions that hold rows
  std::vector<std::string> leavesWithoutIdentity{};  ///< those whose updates and deletes would not name their row
  bool canSelect = true;
  bool rowSecurity = false;  ///< policies would hide rows from us
  ReplicaIdentity identity = ReplicaIdentity::byDefault;
  bool identityUsable = true;  ///< updates and deletes name their row
  std::vector<ColumnFacts> columns{};
  std::vector<std::string> primaryKey{};
  std::vector<std::string> identityKey{};  ///< of DEFAULT and USING INDEX; empty for FULL and NOTHING
  double estimatedRows = 0;
  std::int64_t bytes = 0;  ///< on disk, indexes and large values apart
  std::int64_t file = 0;   ///< the relfilenode: another one after TRUNCATE and after a rewrite
  PublicationFacts publication{};

  std::string fullName() const { return fullNameOf(schema, name); }
  std::string quoted() const;
  /// The columns that events have, in their order.
  std::vector<const ColumnFacts*> sentColumns() const;
  /// The columns that say which row an event means: the identity's, or the primary key's; empty where there are none,
  /// or where the publication leaves one of them out.
  std::vector<std::string> key() const;
};

/// Reads a table's facts as the connection's transaction sees them.
/// @param publication empty: none is asked about.
/// @return nullopt if there is no such table. @throws Error{connectionFailed, queryFailed, invalidArgument}
std::optional<TableFacts> readTableFacts(PGconn* connection, const std::string& table,
                                         const std::string& publication = {});
/// @throws Error{tableNotFound} if there is no such table.
TableFacts requireTable(PGconn* connection, const std::string& table, const std::string& publication = {});

/// The shape of the table's events.
Shape shapeOf(const TableFacts& facts);

/// How the publication comes to be.
struct PublicationUse {
  std::string name{};
  bool managed = false;                ///< this process makes it and keeps it in step: what it lacks is no issue
  bool viaRoot = false;                ///< of a managed one, as what follows
  bool generated = false;              ///< stored columns that are generated, too
  std::vector<std::string> columns{};  ///< of the table; empty: all
};

/// Every reason why the table cannot be streamed as asked, with the SQL that mends it.
/// @param table as the user wrote it. @param facts nullopt: there is none.
std::vector<TableIssue> issuesOf(const std::string& table, const std::optional<TableFacts>& facts,
                                 const PublicationUse& use);

}  // namespace tidegate::postgres::detail
