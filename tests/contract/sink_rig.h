/// What the suites of sink_contract.h stand on: the target under test, what it can do, and short ways to write events.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "tidegate/core/query.h"
#include "tidegate/sink/sink.h"

namespace tidegate::contract {

using Values = std::vector<Value>;

/// Where sinks write to: a database, a file, a gateway. One for each test, empty at first; it outlives its sinks.
class SinkTarget {
 public:
  virtual ~SinkTarget() = default;
  /// A sink as a process of its own would make it. It may be destroyed without `close`: a crash. A sink that is its own
  /// target is given again and again.
  virtual std::shared_ptr<Sink> sink() = 0;
  /// What somebody else sees in the target now: committed rows only, values as `Sink::readTable` gives them. May be
  /// called while a sink has a unit of work open. A table that is not there has no rows.
  virtual std::vector<Values> rows(const Shape& shape) {
    const auto reader = sink();
    reader->open({.pipeline = "a reader"});
    std::vector<Values> found;
    const auto stream = reader->readTable(shape, {});
    for (Values row; stream->next(row);) found.push_back(row);
    return found;
  }
  /// Makes the next `commit` fail, once, as a full disk or a lost server would. @return false: this cannot be done.
  virtual bool breakNextCommit() { return false; }
};

/// What a sink can do. What it cannot must still end in the way that the suite says.
struct SinkAbilities {
  bool fences = true;            ///< `open` of a pipeline ends the writer that had it
  bool severalPipelines = true;  ///< several may write into one target, each its own tables
  bool typed = true;             ///< columns of the target have types; a shape of other kinds is refused
  bool atomicCommit = true;      ///< a failed commit leaves nothing behind. If not: applying again mends it
  /// Columns of a target that a shape lacks stay as they are. If not: a row is replaced as a whole.
  bool keepsOtherColumns = true;
  bool expires = true;
  bool renames = true;  ///< follows a renamed column with its values. If not: `apply` throws invalidConfig
  bool retypes = true;  ///< likewise a column of another kind
  /// Whether the target can hold a value; others are left out of the suite (the sink's own tests say what it does).
  std::function<bool(const Value&)> holds = [](const Value&) { return true; };
  /// Likewise whether a table or a column can have a name.
  std::function<bool(const std::string&)> takesName = [](const std::string&) { return true; };
  /// Likewise for the value of a key's one column.
  std::function<bool(const Value&)> holdsKey = [](const Value&) { return true; };
  std::size_t largeValueBytes = std::size_t{4} << 20;
  std::uint64_t seeds = 500;  ///< of the random histories
};

struct SinkCase {
  std::string name;
  std::function<std::unique_ptr<SinkTarget>()> make{};
  SinkAbilities can{};
};

inline void PrintTo(const SinkCase& sinkCase, std::ostream* out) { *out << sinkCase.name; }
inline std::string sinkCaseName(const ::testing::TestParamInfo<SinkCase>& info) { return info.param.name; }

inline Shape shapeOf(std::string table, std::vector<ColumnSchema> columns, std::vector<std::string> key) {
  return makeShape({.table = std::move(table), .columns = std::move(columns), .primaryKey = std::move(key)});
}
inline ColumnSchema column(std::string name, ValueKind kind, bool nullable = true) {
  return {.name = std::move(name), .kind = kind, .nullable = nullable};
}

/// A sink of pipeline "p" with a batch to fill. Events are applied by `flush`, or by `commit`.
class SinkContract : public ::testing::TestWithParam<SinkCase> {
 protected:
  /// users(id int64, name text, score int64), key id.
  static Shape users(const std::string& table = "users") {
    return shapeOf(
        table,
        {column("id", ValueKind::int64, false), column("name", ValueKind::text), column("score", ValueKind::int64)},
        {"id"});
  }

  /// Another writer of the pipeline, as after a crash: the one before is gone without a word.
  std::optional<std::string> crashAndOpen() {
    sink.reset();
    batch.clear();
    sink = target->sink();
    return sink->open({.pipeline = "p"});
  }
  void prepare(const Shape& shape) { sink->prepareTable(shape); }

  ChangeEvent& event(ChangeOp op, const Shape& shape) {
    ChangeEvent& e = batch.add(op, shape);
    e.transactionBegin = e.transactionEnd = true;
    e.position.octets = std::to_string(++place);
    return e;
  }
  void insert(const Shape& shape, Values row) { event(ChangeOp::insert, shape).after = std::move(row); }
  void read(const Shape& shape, Values row) { event(ChangeOp::read, shape).after = std::move(row); }
  void update(const Shape& shape, Values row, std::vector<std::uint32_t> unchanged = {}) {
    ChangeEvent& e = event(ChangeOp::update, shape);
    e.after = std::move(row);
    e.unchanged = std::move(unchanged);
  }
  /// An erase by key alone: `key` in the key's order.
  void erase(const Shape& shape, const Values& key) {
    ChangeEvent& e = event(ChangeOp::erase, shape);
    e.before.resize(shape->columns->size());
    for (std::uint32_t i = 0; i < e.before.size(); ++i) e.beforeAbsent.push_back(i);
    for (std::size_t i = 0; i < key.size(); ++i) {
      e.before[shape->key[i]] = key[i];
      std::erase(e.beforeAbsent, shape->key[i]);
    }
  }
  void truncate(const Shape& shape) { event(ChangeOp::truncate, shape); }
  void baselineBegin(const Shape& shape) { event(ChangeOp::baselineBegin, shape); }
  void baselineEnd(const Shape& shape) { event(ChangeOp::baselineEnd, shape); }
  void changeSchema(const Shape& before, const Shape& after,
                    std::vector<std::pair<std::string, std::string>> renamed = {}) {
    auto what = std::make_shared<SchemaChange>();
    what->before = before;
    what->renamed = std::move(renamed);
    event(ChangeOp::schemaChange, after).schemaChange = what;
  }

  void flush() {
    sink->apply(batch);
    batch.clear();
  }
  void commit(const std::string& checkpoint = "some place") {
    if (!batch.empty()) flush();
    sink->commit(checkpoint);
  }
  /// A table with these rows, committed.
  void start(const Shape& shape, const std::vector<Values>& rows) {
    prepare(shape);
    for (const Values& row : rows) insert(shape, row);
    commit("start");
  }

  static std::string text(const Values& row) {
    std::string line;
    for (const Value& v : row) line += describe(v) + " | ";
    return line;
  }
  /// That the target holds these rows and no others; values compare by `sameValue`.
  void expectRows(const Shape& shape, const std::vector<Values>& expected) {
    std::vector<Values> found = target->rows(shape);
    for (const Values& row : expected) {
      const auto same = [&](const Values& other) {
        return std::equal(row.begin(), row.end(), other.begin(), other.end(),
                          [](const Value& a, const Value& b) { return sameValue(a, b); });
      };
      const auto at = std::find_if(found.begin(), found.end(), same);
      if (at == found.end()) {
        ADD_FAILURE() << shape->schema.table << " lacks " << text(row);
      } else {
        found.erase(at);
      }
    }
    for (const Values& row : found) ADD_FAILURE() << shape->schema.table << " also holds " << text(row);
  }
  /// The Error that `work` throws; none: a failure of the test.
  template <class Work>
  static Error errorOf(Work&& work) {
    try {
      work();
    } catch (const Error& e) {
      return e;
    }
    ADD_FAILURE() << "nothing was thrown";
    return {ErrorCode::internal, Retry::never, "nothing was thrown"};
  }

  const SinkAbilities& can = GetParam().can;
  std::unique_ptr<SinkTarget> target = GetParam().make();
  std::shared_ptr<Sink> sink = target->sink();
  std::optional<std::string> opened = sink->open({.pipeline = "p"});
  ChangeBatch batch;
  std::uint64_t place = 0;
};

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(SinkContract);

}  // namespace tidegate::contract
