/// A sink on a private server, with short ways to write events.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <utility>

#include "contract/sink_rig.h"
#include "servers/support.h"

namespace tidegate::servers {

/// @param Target a SinkTarget with `options()`, `make(options)` and an `admin`.
template <class Target>
class SinkRig : public testing::Test {
 protected:
  static Shape things(const std::string& table) {
    return contract::shapeOf(
        table, {contract::column("id", ValueKind::int64, false), contract::column("name", ValueKind::text)}, {"id"});
  }
  /// The sink's process is gone without a word, and there is another one.
  std::optional<std::string> reopen() {
    batch.clear();
    sink.reset();
    sink = Target::make(options);
    return sink->open({.pipeline = "p"});
  }
  void prepare(const Shape& shape) {
    sink->prepareTable(shape);
    sink->commit("prepared");
  }

  void insert(const Shape& s, contract::Values row) { batch.add(ChangeOp::insert, s).after = std::move(row); }
  void read(const Shape& s, contract::Values row) { batch.add(ChangeOp::read, s).after = std::move(row); }
  void update(const Shape& s, contract::Values row, std::vector<std::uint32_t> unchanged = {}) {
    ChangeEvent& e = batch.add(ChangeOp::update, s);
    e.after = std::move(row);
    e.unchanged = std::move(unchanged);
  }
  /// Of a table whose key comes first.
  void erase(const Shape& s, contract::Values key) {
    ChangeEvent& e = batch.add(ChangeOp::erase, s);
    for (std::size_t i = key.size(); i < s->columns->size(); ++i) {
      e.beforeAbsent.push_back(static_cast<std::uint32_t>(i));
      key.emplace_back();
    }
    e.before = std::move(key);
  }
  void truncate(const Shape& s) { batch.add(ChangeOp::truncate, s); }
  void begin(const Shape& s) { batch.add(ChangeOp::baselineBegin, s); }
  void end(const Shape& s) { batch.add(ChangeOp::baselineEnd, s); }
  void changeSchema(const Shape& before, const Shape& after,
                    std::vector<std::pair<std::string, std::string>> renamed = {}) {
    auto what = std::make_shared<SchemaChange>();
    what->before = before;
    what->renamed = std::move(renamed);
    batch.add(ChangeOp::schemaChange, after).schemaChange = what;
  }
  void flush() {
    sink->apply(batch);
    batch.clear();
  }
  void commit(const std::string& checkpoint = "some place") {
    if (!batch.empty()) flush();
    sink->commit(checkpoint);
  }

  /// The first cell of the answer, described.
  std::string ask(const std::string& sql) {
    const Rows rows = readAll(admin, sql);
    return rows.empty() ? "no row" : describe(rows[0][0]);
  }
  /// Likewise, a text without its quotes.
  std::string askText(const std::string& sql) {
    const std::string text = ask(sql);
    return text.starts_with('"') ? text.substr(1, text.size() - 2) : text;
  }
  /// That the table holds these rows and no others, each value with its kind and spelling. Rows begin with their
  /// number.
  void expectExactly(const Shape& shape, std::vector<contract::Values> expected) {
    std::vector<contract::Values> found;
    const auto stream = sink->readTable(shape, {});
    for (contract::Values row; stream->next(row);) found.push_back(row);
    const auto byId = [](const auto& a, const auto& b) { return compareValues(a[0], b[0]) < 0; };
    std::sort(found.begin(), found.end(), byId);
    std::sort(expected.begin(), expected.end(), byId);
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      for (std::size_t k = 0; k < found[i].size(); ++k) {
        EXPECT_TRUE(found[i][k] == expected[i][k])
            << toString(found[i][k].kind()) << " " << describe(found[i][k]) << " instead of "
            << toString(expected[i][k].kind()) << " " << describe(expected[i][k]);
      }
    }
  }
  static ValueKind kindOf(const std::string& name) {
    for (int kind = 0; kind <= static_cast<int>(ValueKind::json); ++kind) {
      if (toString(static_cast<ValueKind>(kind)) == name) return static_cast<ValueKind>(kind);
    }
    ADD_FAILURE() << "no kind " << name;
    return ValueKind::null;
  }

  Target target;
  QueryFn& admin = target.admin;
  decltype(std::declval<Target>().options()) options = target.options();
  std::shared_ptr<Sink> sink = target.sink();
  std::optional<std::string> opened = sink->open({.pipeline = "p"});
  ChangeBatch batch;
};

}  // namespace tidegate::servers
