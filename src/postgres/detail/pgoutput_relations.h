/// What the stream knows of its tables: from Relation messages to shapes and decoders, and what changed in between.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "postgres/detail/catalogue.h"
#include "postgres/detail/pgoutput.h"
#include "postgres/detail/schema_diff.h"
#include "postgres/detail/table_version.h"
#include "postgres/detail/type_map.h"

namespace tidegate::postgres::detail {

/// What the cache asks of the catalogue as it is now, which may be later than the stream. Each may throw an Error.
struct CatalogueQuestions {
  std::function<TableSeen(const std::string& table)> table;
  std::function<std::vector<TypeFacts>(const std::vector<TypeAsked>&)> types;
};

/// A table as its readers were last told of it.
struct ToldTable {
  std::string name{};
  unsigned oid = 0;
  Shape shape{};
  TableVersion version{};
  /// An earlier process told the readers, perhaps of another shape: the table was altered about where we go on.
  bool unsure = false;
  Lsn toldAt = 0;  ///< the commit whose row brought the last change
};
/// By full name. Outlives streams: what was told stays told.
using ToldTables = std::map<std::string, ToldTable>;
ToldTable toldTable(const TableFacts& facts, const TableVersion& past);

/// A table as the messages that follow its Relation message describe it.
struct StreamTable {
  Shape shape{};  ///< null: nobody asked for this table
  TableVersion version{};
  std::vector<Decoder> decoders{};
  std::vector<std::uint32_t> outsideIdentity{};  ///< columns that a key-only tuple leaves out
  /// To be told before the next change of the table; then call `told`.
  std::shared_ptr<const SchemaChange> pending{};
  ToldTable* known = nullptr;
};

/// @thread The stream's.
class PgoutputRelations {
 public:
  PgoutputRelations(CatalogueQuestions ask, ToldTables& known) : ask_(std::move(ask)), known_(known) {}

  /// The stream's tables. Those that readers were never told of are taken as the catalogue has them now.
  /// @throws Error{tableNotFound} naming one that does not exist.
  void want(const std::vector<std::string>& tables);
  const std::map<std::string, ToldTable*>& wantedTables() const noexcept { return wanted_; }
  /// A new connection: the server describes tables again. What was told of schemas stays told.
  void forgetMessages();
  void setTrustedEncoding(bool trusted) { trustedEncoding_ = trusted; }

  /// Takes a Relation message.
  void take(const PgoutputMessage& message);
  /// @throws Error{parseError} for a table that was never described.
  StreamTable& find(std::uint32_t oid);

  /// The table's pending schema change was told, or is older than what its readers have.
  /// @param commit of the row that follows.
  static void told(StreamTable& table, Lsn commit);

  /// Readers were told of a shape by somebody else, before a Relation message said so.
  void toldElsewhere(const Shape& shape);
  /// The catalogue has a table so, and the stream is past the place where it came to be so: what is to be told, if that
  /// is news. It counts as told.
  std::shared_ptr<const SchemaChange> announce(ToldTable& table, const TableFacts& facts, const TableVersion& past);

  /// A table was given another name while it was streamed: events keep the name that was asked for. Empty: none was.
  std::string takeRenameWarning() { return std::exchange(renameWarning_, {}); }

 private:
  struct Described {
    Shape shape;
    TableVersion version;
    std::vector<TypeFacts> types;
  };
  ToldTable* wantedBy(const PgoutputMessage& message);
  void settled(const ToldTable& table);
  Described describe(const ToldTable& known, const PgoutputMessage& message) const;
  Described describeUnchecked(const ToldTable& known, const PgoutputMessage& message) const;
  Described describeByMessage(const ToldTable& known, const PgoutputMessage& message,
                              const std::vector<TypeFacts>& types) const;

  CatalogueQuestions ask_;
  bool trustedEncoding_ = true;
  ToldTables& known_;
  std::map<std::string, ToldTable*> wanted_;  ///< by full name; into known_
  std::unordered_map<std::uint32_t, StreamTable> tables_;
  std::uint32_t lastOid_ = 0;
  StreamTable* last_ = nullptr;
  std::string renameWarning_;
};

}  // namespace tidegate::postgres::detail
