/// A hub with a table, written by events and read as a client reads: a snapshot, then the log.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "electric/detail/shape_hub.h"
#include "tidegate/core/error.h"

namespace tidegate::electric::test {

using detail::LiveShape;
using detail::ShapeDefinition;
using detail::ShapeHub;
using detail::ShapeOffset;
using detail::ShapeReading;
using Row = std::vector<Value>;

/// notes(id int8, owner text, title text, rank int8).
inline tidegate::Shape notes(std::string table = "notes") {
  return makeShape({.table = std::move(table),
                    .columns = {{.name = "id", .kind = ValueKind::int64, .nullable = false},
                                {.name = "owner", .kind = ValueKind::text},
                                {.name = "title", .kind = ValueKind::text},
                                {.name = "rank", .kind = ValueKind::int64}},
                    .primaryKey = {"id"}});
}

/// Events of one or more transactions.
class Changes {
 public:
  explicit Changes(tidegate::Shape shape) : shape_(std::move(shape)) {}
  Changes& insert(Row row) { return add(ChangeOp::insert, {}, std::move(row)); }
  Changes& update(Row row) { return add(ChangeOp::update, {}, std::move(row)); }
  Changes& read(Row row) { return add(ChangeOp::read, {}, std::move(row)); }
  Changes& erase(std::int64_t id) { return add(ChangeOp::erase, Row{id, nullptr, nullptr, nullptr}, {}); }
  Changes& whole(ChangeOp op) { return add(op, {}, {}); }
  /// What follows is another transaction.
  Changes& next(std::uint64_t transaction) {
    transaction_ = transaction;
    return *this;
  }
  const std::vector<ChangeEvent>& events() const { return events_; }

 private:
  Changes& add(ChangeOp op, Row before, Row after) {
    ChangeEvent& event = events_.emplace_back();
    event.op = op;
    event.shape = shape_;
    event.before = std::move(before);
    event.after = std::move(after);
    event.transactionId = transaction_;
    event.transactionBegin = events_.size() == 1 || events_[events_.size() - 2].transactionId != transaction_;
    return *this;
  }
  tidegate::Shape shape_;
  std::uint64_t transaction_ = 1;
  std::vector<ChangeEvent> events_;
};

inline ShapeDefinition defined(const tidegate::Shape& shape, std::string_view where = {}, bool full = false) {
  ShapeDefinition out{.table = shape, .full = full};
  if (!where.empty()) out.where = Where::parse(where, shape->schema);
  for (std::uint32_t i = 0; i < shape->columns->size(); ++i) out.columns.push_back(i);
  return out;
}

/// What a client of Electric holds: it applies messages as that one does.
class ShapeClient {
 public:
  ShapeClient(ShapeHub& hub, ShapeDefinition definition) : hub_(hub), definition_(std::move(definition)) {}

  /// Reads until nothing is left, from the beginning where it must.
  void catchUp() {
    for (int attempt = 0; attempt < 20; ++attempt) {
      if (shape_ == nullptr) begin();
      for (;;) {
        const ShapeReading reading = hub_.read(*shape_, offset_);
        if (reading.kind != ShapeReading::found) {
          ++refetches;
          shape_ = nullptr;
          break;
        }
        for (const auto& message : reading.piece.messages) take(*message);
        offset_ = reading.piece.end;
        if (reading.piece.complete) return;
      }
    }
    FAIL() << "the log never reaches back to its snapshot";
  }

  std::map<std::string, nlohmann::json> rows;  ///< by key
  std::vector<nlohmann::json> messages;        ///< all of the log's, in order
  std::size_t refetches = 0;
  std::shared_ptr<LiveShape> shape_{};
  ShapeOffset offset_{};

 private:
  void begin() {
    shape_ = hub_.open(definition_, {}).first;
    ASSERT_NE(shape_, nullptr);
    const auto snapshot = hub_.beginSnapshot(*shape_);
    rows.clear();
    Row values;
    for (const auto& packed : snapshot->rows) {
      detail::unpackRow(*packed, values);
      if (!definition_.where.matches(values)) continue;
      std::string text;
      detail::writeSnapshotRow(definition_, shape_->texts, detail::keyOf(*definition_.table, values), values, text);
      const auto row = nlohmann::json::parse(text);
      ASSERT_TRUE(rows.emplace(row["key"], row["value"]).second) << "a snapshot has a row once";
    }
    offset_ = snapshot->at;
  }
  void take(const std::string& text) {
    const auto message = nlohmann::json::parse(text);
    messages.push_back(message);
    const std::string key = message["key"], operation = message["headers"]["operation"];
    if (operation == "insert") {
      EXPECT_TRUE(rows.emplace(key, message["value"]).second) << "inserted twice: " << text;
    } else if (operation == "update") {
      ASSERT_TRUE(rows.contains(key)) << "an update of nothing: " << text;
      rows[key].update(message["value"]);
    } else {
      EXPECT_EQ(rows.erase(key), 1u) << "a deletion of nothing: " << text;
    }
  }

  ShapeHub& hub_;
  const ShapeDefinition definition_;
};

}  // namespace tidegate::electric::test
