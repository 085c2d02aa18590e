#include "sqlite/detail/source_triggers.h"

#include <fmt/format.h>

#include <algorithm>

namespace tidegate::sqlite::detail {

namespace {

template <class Items, class Form>
std::string joined(const Items& items, const char* between, Form&& form) {
  std::string text;
  std::size_t i = 0;
  for (const auto& item : items) text += (i == 0 ? "" : between) + form(item, i), ++i;
  return text;
}

/// Writes the statements of one table's triggers. In them `r` is a row of the table and `d` one of the doubt table.
class TriggerWriter {
 public:
  TriggerWriter(const LogNames& names, const SourceTable& table, std::int64_t number)
      : table_(table),
        log_(sqlName(names.log)),
        doubt_(sqlName(names.doubt)),
        own_(sqlName(table.name)),
        number_(std::to_string(number)),
        prefix_(names.triggers + number_ + "."),
        // Another trigger may change the row again, and run before or after ours: then what counts is what the row is
        // by now, not what this change made it.
        shared_(table.foreignTriggers != 0) {
    for (const std::string& name : table.key) {
      keyPlaces_.push_back(
          static_cast<std::size_t>(std::find_if(table.columns.begin(), table.columns.end(),
                                                [&](const SourceColumn& column) { return column.name == name; }) -
                                   table.columns.begin()));
    }
  }

  std::vector<Trigger> all() const {
    return {make("bi", "BEFORE INSERT", conflictTest(), beforeInsert()), make("ai", "AFTER INSERT", "", afterInsert()),
            make("bu", "BEFORE UPDATE", updateTest(), beforeUpdate()), make("au", "AFTER UPDATE", "", afterUpdate()),
            make("ad", "AFTER DELETE", "", afterDelete())};
  }

 private:
  Trigger make(const char* suffix, const char* when, const std::string& test, const std::string& body) const {
    const std::string name = prefix_ + suffix;
    return {name, fmt::format("CREATE TRIGGER {} {} ON {}{} BEGIN {} END", sqlName(name), when, own_,
                              test.empty() ? "" : " WHEN " + test, body)};
  }
  static std::string of(const char* row, const std::string& column) { return std::string(row) + "." + sqlName(column); }

  /// Whether row `r` is in the way of NEW, as the constraint compares.
  std::string conflict(const UniqueKey& unique) const {
    return joined(unique.columns, " AND ", [&](const std::string& column, std::size_t i) {
      const std::string collation = unique.collations.empty() ? "" : " COLLATE " + sqlName(unique.collations[i]);
      return of("r", column) + collation + " = " + of("NEW", column);
    });
  }
  std::string conflictTest() const {
    return joined(table_.uniques, " OR ", [&](const UniqueKey& unique, std::size_t) {
      // Asked for every row that is written: the rowid is looked up without a loop over what is found.
      if (table_.rowidKey && unique.columns == table_.key)
        return fmt::format("{} IN (SELECT {} FROM {})", of("NEW", table_.key[0]), sqlName(table_.key[0]), own_);
      return fmt::format("EXISTS (SELECT 1 FROM {} AS r WHERE {})", own_, conflict(unique));
    });
  }

  /// Whether two expressions are one value octet for octet.
  std::string same(const std::string& a, const std::string& b) const {
    if (table_.rowidKey) return a + " = " + b;
    const std::string equal = a + " COLLATE BINARY IS " + b;
    return table_.keyIsExact ? equal : fmt::format("({} AND typeof({}) = typeof({}))", equal, a, b);
  }
  std::string sameKey(const char* a, const char* b) const {
    return joined(table_.key, " AND ",
                  [&](const std::string& column, std::size_t) { return same(of(a, column), of(b, column)); });
  }
  /// Whether what `d` holds is the key of a row of the table or of OLD or NEW.
  std::string doubtIs(const char* row) const {
    return joined(table_.key, " AND ", [&](const std::string& column, std::size_t i) {
      return same("d.k" + std::to_string(i), of(row, column));
    });
  }
  /// The row of the table with the key that `d`, OLD or NEW has; `=` on the plain column, so that an index is used.
  std::string rowWith(const char* row) const {
    const bool doubt = std::string_view(row) == "d";
    return joined(table_.key, " AND ", [&](const std::string& column, std::size_t i) {
      const std::string other = doubt ? "d.k" + std::to_string(i) : of(row, column);
      const std::string seek = of("r", column) + keyCollation(i) + (table_.keyMayBeNull ? " IS " : " = ") + other;
      return table_.rowidKey ? seek : seek + " AND " + same(of("r", column), other);
    });
  }

  /// Of the key's index, without which it would not be used.
  std::string keyCollation(std::size_t i) const {
    for (const UniqueKey& unique : table_.uniques) {
      if (unique.columns == table_.key && !unique.collations.empty())
        return " COLLATE " + sqlName(unique.collations[i]);
    }
    return {};
  }

  std::string keyColumns() const {
    return joined(keyPlaces_, ", ", [](std::size_t place, std::size_t) { return "v" + std::to_string(place); });
  }
  std::string keyOf(const char* row) const {
    return joined(table_.key, ", ", [&](const std::string& column, std::size_t) { return of(row, column); });
  }
  std::string doubtColumns() const {
    return joined(table_.key, ", ", [](const std::string&, std::size_t i) { return "k" + std::to_string(i); });
  }
  std::string rowOf(const char* row) const {
    return joined(table_.columns, ", ", [&](const SourceColumn& column, std::size_t) { return of(row, column.name); });
  }
  std::string rowColumns() const {
    return joined(table_.columns, ", ", [](const SourceColumn&, std::size_t i) { return "v" + std::to_string(i); });
  }

  std::string eraseInto() const {
    return fmt::format("INSERT INTO {}(t, op, at, {}) SELECT {}, 3, julianday('now'), ", log_, keyColumns(), number_);
  }
  std::string noteConflicts(const std::string& apart) const {
    // What an earlier statement left here is of no use to this row. With triggers of others one of them may have begun
    // this change within another change of the table, whose notes must stay.
    std::string text = shared_ ? "" : clearDoubts() + " ";
    for (const UniqueKey& unique : table_.uniques) {
      text += fmt::format(
          "INSERT INTO {0}(t, {1}) SELECT {2}, {3} FROM {4} AS r WHERE {5}{6} AND NOT EXISTS (SELECT 1 FROM {0} AS d "
          "WHERE d.t = {2} AND {7}); ",
          doubt_, doubtColumns(), number_, keyOf("r"), own_, conflict(unique), apart, doubtIs("r"));
    }
    return text;
  }
  std::string clearDoubts() const { return fmt::format("DELETE FROM {} WHERE t = {};", doubt_, number_); }
  /// Rows that were in the way and are gone without a delete trigger.
  std::string eraseReplaced() const {
    if (!findsOthers()) return {};
    const std::string keys =
        joined(table_.key, ", ", [](const std::string&, std::size_t i) { return "d.k" + std::to_string(i); });
    return fmt::format("{}{} FROM {} AS d WHERE d.t = {} AND NOT EXISTS (SELECT 1 FROM {} AS r WHERE {}); ",
                       eraseInto(), keys, doubt_, number_, own_, rowWith("d"));
  }
  /// Whether a conflict can remove a row with another key than the new row's.
  bool findsOthers() const { return table_.uniques.size() > 1 || !table_.keyIsExact; }
  bool clearsAfterwards() const { return findsOthers() || shared_; }
  std::string isReplacement() const {
    return fmt::format("EXISTS (SELECT 1 FROM {} AS d WHERE d.t = {} AND {})", doubt_, number_, doubtIs("NEW"));
  }
  std::string writeRow(const std::string& op) const {
    if (!shared_) {
      return fmt::format("INSERT INTO {}(t, op, at, {}) VALUES ({}, {}, julianday('now'), {}); ", log_, rowColumns(),
                         number_, op, rowOf("NEW"));
    }
    return fmt::format("INSERT INTO {}(t, op, at, {}) SELECT {}, {}, julianday('now'), {} FROM {} AS r WHERE {}; ",
                       log_, rowColumns(), number_, op, rowOf("r"), own_, rowWith("NEW"));
  }
  /// A row that another trigger put there again is not gone.
  std::string stillGone() const {
    return shared_ ? fmt::format("NOT EXISTS (SELECT 1 FROM {} AS r WHERE {})", own_, rowWith("OLD")) : "";
  }

  std::string beforeInsert() const { return noteConflicts(""); }
  std::string afterInsert() const {
    return eraseReplaced() + writeRow("CASE WHEN " + isReplacement() + " THEN 2 ELSE 1 END") +
           (clearsAfterwards() ? clearDoubts() : "");
  }
  std::string apart() const { return " AND NOT (" + sameKey("r", "OLD") + ")"; }
  std::string updateTest() const {
    return joined(table_.uniques, " OR ", [&](const UniqueKey& unique, std::size_t) {
      const std::string changed = joined(unique.columns, " OR ", [&](const std::string& column, std::size_t) {
        return of("NEW", column) + " COLLATE BINARY IS NOT " + of("OLD", column);
      });
      return fmt::format("(({}) AND EXISTS (SELECT 1 FROM {} AS r WHERE {}{}))", changed, own_, conflict(unique),
                         apart());
    });
  }
  std::string beforeUpdate() const { return noteConflicts(apart()); }
  std::string afterUpdate() const {
    const std::string kept = sameKey("OLD", "NEW"), gone = stillGone();
    return forgetKey(" AND NOT (" + kept + ")") + " " + eraseReplaced() +
           fmt::format("{}{} WHERE NOT ({}){}; ", eraseInto(), keyOf("OLD"), kept, gone.empty() ? "" : " AND " + gone) +
           writeRow(fmt::format("CASE WHEN ({}) OR {} THEN 2 ELSE 1 END", kept, isReplacement())) +
           (clearsAfterwards() ? clearDoubts() : "");
  }
  std::string afterDelete() const {
    const std::string gone = stillGone();
    return fmt::format("{}{}{}; ", eraseInto(), keyOf("OLD"), gone.empty() ? "" : " WHERE " + gone) + forgetKey("");
  }
  /// OLD's key is no longer that of a row.
  std::string forgetKey(const std::string& condition) const {
    // An alias is not allowed for the table of a DELETE within a trigger.
    const std::string keys = joined(table_.key, " AND ", [&](const std::string& column, std::size_t i) {
      return same("k" + std::to_string(i), of("OLD", column));
    });
    return fmt::format("DELETE FROM {} WHERE t = {} AND {}{};", doubt_, number_, keys, condition);
  }

  const SourceTable& table_;
  const std::string log_, doubt_, own_, number_, prefix_;
  const bool shared_;
  std::vector<std::size_t> keyPlaces_;
};

}  // namespace

LogNames::LogNames(const std::string& source)
    : log("_tidegate_log_" + source),
      doubt("_tidegate_doubt_" + source),
      shapes("_tidegate_shapes_" + source),
      facts("_tidegate_facts_" + source),
      triggers("_tidegate_on_" + source + ".") {}

std::vector<Trigger> triggersFor(const LogNames& names, const SourceTable& table, std::int64_t number) {
  return TriggerWriter(names, table, number).all();
}

}  // namespace tidegate::sqlite::detail
