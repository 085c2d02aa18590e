/// A change stream made of `pg_logical_slot_peek_changes` and test_decoding: slow and simple, and read exactly when a
/// test says so. And the model of a target that is built from events.
///
/// Tables of these tests have integers, and texts without blanks and quotes, only.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "link.h"
#include "postgres/detail/chunked_baseline.h"

namespace tidegate::postgres::detail {

/// What a replica would hold: rows by their key, in its text form.
class Target {
 public:
  void apply(const ChangeEvent& event);
  const std::map<std::string, std::vector<Value>>& rows(const std::string& table) { return tables_[table].rows; }
  bool whole(const std::string& table) { return tables_[table].ended; }
  std::size_t begins(const std::string& table) { return tables_[table].begins; }
  std::size_t reads = 0;
  /// A row that went back: its `ver` is less than what was there.
  std::string wentBack{};

 private:
  struct Table {
    std::map<std::string, std::vector<Value>> rows;
    std::set<std::string> named;
    std::size_t begins = 0;
    bool begun = false, ended = false;
  };
  void put(Table& table, const ChangeEvent& event, const std::string& key);
  std::map<std::string, Table> tables_;
};

class SqlStream {
 public:
  /// Makes the slot unless it is there. @param tables full names of those whose changes are told.
  SqlStream(std::string slot, std::vector<std::string> tables);

  /// Tells all that committed up to now; the target applies it. @return the place in the log that was reached.
  Lsn tell(StreamInterleave* interleave, Target& target);
  /// The next `tell` goes on behind this place.
  void rewind(Lsn place) { told_ = place; }
  Lsn told() const { return told_; }
  /// Lets the server forget what was told.
  void confirm() { db_.run("SELECT pg_replication_slot_advance('" + slot_ + "', '" + lsnToText(told_) + "')"); }
  void drop() { db_.run("SELECT pg_drop_replication_slot('" + slot_ + "')"); }

 private:
  ChangeEvent parse(const std::string& line);
  Shape shapeFor(const std::string& table);

  TestLink db_;
  std::string slot_;
  std::map<std::string, Shape> shapes_;
  std::set<std::string> askShapes_;  ///< once in each `tell`
  Lsn told_ = 0;
};

/// Asks the interleave for rows; the target applies them. @return the progress of the last one, or `progress`.
std::string takeRows(StreamInterleave& interleave, Lsn received, Target& target, std::string progress = {});

/// The table's rows by their key in text form, in the shape's column order.
std::map<std::string, std::vector<Value>> tableRows(const std::string& table);

}  // namespace tidegate::postgres::detail
