/// The change table and what belongs to it: who keeps which of them in the database, and whether they still do.
///
///   _tidegate_log_<name>     seq, t (a shape's number), op, at (julianday), v0…: a row for each change
///   _tidegate_doubt_<name>   what the triggers note while they run (source_triggers.h)
///   _tidegate_shapes_<name>  number, name, live, others (triggers), shape: which columns v0… are
///   _tidegate_facts_<name>   token, and how far the change table was trimmed
///
/// The row with the greatest seq is never removed, so that numbers are never given again.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sqlite/detail/source_file.h"
#include "sqlite/detail/source_position.h"
#include "sqlite/detail/source_tables.h"
#include "sqlite/detail/source_triggers.h"

namespace tidegate::sqlite::detail {

/// A table as the change table has it under one number.
struct LoggedShape {
  std::int64_t number = 0;
  std::string table{};
  bool live = false;  ///< its triggers are those of the table now
  std::int64_t foreignTriggers = 0;
  Shape shape{};
  std::vector<Lift> lifts{};
};

/// @thread One at a time.
class SourceLog {
 public:
  SourceLog(SourceFile& file, const SourceOptions& options);

  /// Reads what there is, in the transaction that is open. @return false: not all of it is there.
  /// @throws Error{invalidConfig} for what a newer Tidegate made.
  bool load();
  /// Whether every one of the tables is followed as it is now. In a read transaction, after `load`.
  bool follows(const std::set<std::string>& tables);
  /// Makes what is missing, and triggers anew where a table changed; in a transaction of its own.
  /// @param isNews whether tables that were not followed before are told of by a schema change too.
  /// @throws Error{tableNotFound} if `isNews` is false and there is no such table.
  void follow(const std::set<std::string>& tables, bool isNews, const std::function<void(const std::string&)>& warn);
  /// Drops all of it.
  void remove();

  std::uint32_t token() const noexcept { return token_; }
  /// Of the schema that `follows` or `follow` found good.
  std::int64_t schemaVersion() const noexcept { return schemaVersion_; }
  std::int64_t currentSchemaVersion();
  /// Of all numbers; nullptr: unknown.
  const LoggedShape* shape(std::int64_t number) const;
  std::size_t width() const noexcept { return width_; }
  const LogNames& names() const noexcept { return names_; }

  /// The place behind the last row; nullopt: the change table is empty.
  std::optional<LogPlace> end();
  /// Whether all that follows the place is there. @return empty, or why not.
  std::string lostAfter(const LogPlace& place);
  LogPlace trimmed();
  /// Removes rows up to `upTo`, but not the last of all, and at most `rows` of them. @return how far it is trimmed now;
  /// nullopt: a writer holds the lock.
  std::optional<std::uint64_t> trim(std::uint64_t upTo, std::size_t rows);

 private:
  enum class Standing { good, unknown, renamed, changed, gone };
  struct Finding {
    Standing standing = Standing::good;
    std::optional<SourceTable> table;
    const LoggedShape* before = nullptr;  ///< what it was last followed as
  };
  Finding look(const std::string& name);
  bool hasTriggers(const SourceTable& table, std::int64_t number);
  const LoggedShape* lastOf(const std::string& table) const;
  std::optional<double> momentAt(std::uint64_t seq);

  void create();
  void dropTriggers();
  void dropTriggers(std::int64_t number);
  void widen(std::size_t columns, std::size_t keys);
  void adopt(const std::string& name, const Finding& finding, bool isNews);
  void retire(const LoggedShape& shape);
  std::int64_t addShape(const SourceTable& table, const Shape& shape);
  void tell(std::int64_t number, const Finding& finding, const Shape& now);
  std::set<std::string> tableColumns(const std::string& table);

  SourceFile& file_;
  const SourceOptions& options_;
  const LogNames names_;
  std::uint32_t token_ = 0;
  std::int64_t schemaVersion_ = -1;
  std::size_t width_ = 0, keyWidth_ = 0;
  std::map<std::int64_t, LoggedShape> shapes_;
};

}  // namespace tidegate::sqlite::detail
