/// What polled rows and deltas say of their columns' types: whether timestamps have a zone, so that SQL sinks can keep
/// them as timestamps.
#include <gtest/gtest.h>

#include "source/detail/delta_shapes.h"
#include "source/detail/polling_tables.h"

namespace tidegate::detail {
namespace {

using Values = std::vector<Value>;
using Types = std::vector<std::string>;

const char* const kWithZone = "timestamp with time zone";
const char* const kWithoutZone = "timestamp without time zone";

class Rows final : public RowStream {
 public:
  explicit Rows(std::vector<Values> rows) : rows_(std::move(rows)) {}
  const Columns& columns() const override { return columns_; }
  bool next(Values& values) override {
    if (at_ == rows_.size()) return false;
    values = rows_[at_++];
    return true;
  }

 private:
  const Columns columns_ = makeColumns({"id", "zoned", "wall", "both", "name"});
  std::vector<Values> rows_;
  std::size_t at_ = 0;
};

LearnedTable learned(std::vector<Values> rows) {
  const QueryFn query(Dialect::sqlite,
                      [rows = std::move(rows)](const Query&) { return ResultSet(std::make_unique<Rows>(rows)); });
  return learnTable(query, {.table = "t", .query = "SELECT * FROM t", .strategy = DiffStrategy{}}, 10, {});
}

Types typesOf(const TableSchema& schema) {
  Types types;
  for (const ColumnSchema& column : schema.columns) types.push_back(column.sourceType);
  return types;
}

const Values kFirst{1, Timestamp::utc(1), Timestamp::local(1), Timestamp::utc(1), "ada"};
const Values kSecond{2, nullptr, Timestamp::local(2), Timestamp::local(2), "bob"};

TEST(LearnedTypes, APolledTimestampColumnIsOfTheOneFormThatItsRowsHave) {
  EXPECT_EQ(typesOf(learned({kFirst, kSecond}).schema), (Types{"", kWithZone, kWithoutZone, "", ""}));
}

TEST(LearnedTypes, TheyAreKeptWithTheTable) {
  const LearnedTable table = learned({kFirst, kSecond});
  EXPECT_EQ(typesOf(decodeTable(encodeTable(table)).schema), typesOf(table.schema));
  LearnedTable empty = learned({});
  recall(table, empty);
  EXPECT_EQ(typesOf(empty.schema), typesOf(table.schema)) << "a table may be empty just now";
}

TEST(LearnedTypes, DeltasTeachTheFormAndAnotherFormIsATypeThatHoldsBoth) {
  DeltaShapes shapes({}, "id");
  const auto teach = [&](Value value) {
    return shapes.learn({.table = "t", .rowId = "1", .columns = {{"at", std::move(value)}}});
  };
  const auto type = [&] { return shapes.find("t")->schema.find("at")->sourceType; };
  teach(nullptr);
  EXPECT_EQ(type(), "");
  teach(Timestamp::utc(1));
  EXPECT_EQ(type(), kWithZone);
  EXPECT_EQ(teach(Timestamp::utc(2)), nullptr) << "nothing new";
  const auto change = teach(Timestamp::local(3));
  ASSERT_NE(change, nullptr);
  EXPECT_TRUE(change->rowsChanged) << "rows that are there are of another type now";
  EXPECT_EQ(type(), "");
  EXPECT_EQ(teach(Timestamp::utc(4)), nullptr);
}

}  // namespace
}  // namespace tidegate::detail
