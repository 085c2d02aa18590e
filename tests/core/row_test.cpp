#include "tidegate/core/row.h"

#include <gtest/gtest.h>

#include "tidegate/core/error.h"
#include "tidegate/core/schema.h"
#include "tidegate/core/state_store.h"

namespace tidegate {
namespace {

TEST(ColumnList, FindsEveryNameInShortAndLongLists) {
  for (const std::size_t count : {0u, 1u, 16u, 17u, 300u}) {
    std::vector<std::string> names;
    for (std::size_t i = 0; i < count; ++i) names.push_back("c" + std::to_string(i * 7 % count));
    const ColumnList list(names);
    for (std::size_t i = 0; i < count; ++i) EXPECT_EQ(list.find(names[i]), i);
    EXPECT_FALSE(list.find("").has_value());
    EXPECT_FALSE(list.find("zz").has_value());
    EXPECT_FALSE(list.find("C0").has_value()) << "names are case-sensitive";
  }
}

TEST(ColumnList, RefusesEmptyAndRepeatedNamesByName) {
  EXPECT_THROW(ColumnList({"a", ""}), Error);
  try {
    ColumnList({"a", "b", "a"});
    FAIL() << "accepted";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::invalidArgument);
    EXPECT_NE(e.message().find("\"a\" appears twice"), std::string::npos) << e.message();
  }
}

TEST(Row, TellsAbsentFromNull) {
  const Row row{makeColumns({"a", "b"}), {1, Null{}}};
  EXPECT_TRUE(*row.find("a") == Value(1));
  ASSERT_NE(row.find("b"), nullptr);
  EXPECT_TRUE(row.find("b")->isNull());
  EXPECT_EQ(row.find("c"), nullptr);
  EXPECT_EQ(Row{}.find("a"), nullptr);
}

TEST(Row, IsEqualByNamesOrderAndValues) {
  const Row row{makeColumns({"a", "b"}), {1, 2}};
  EXPECT_TRUE(row == (Row{makeColumns({"a", "b"}), {1, 2}}));
  EXPECT_FALSE(row == (Row{makeColumns({"b", "a"}), {1, 2}}));
  EXPECT_FALSE(row == (Row{row.columns, {1, 3}}));
  EXPECT_FALSE(row == Row{});
  EXPECT_TRUE((Row{}) == (Row{makeColumns({}), {}}));
}

TEST(TableSchema, FindsColumns) {
  const TableSchema schema{"t", {{"a", ValueKind::int64, false, "bigint"}}, {"a"}};
  ASSERT_NE(schema.find("a"), nullptr);
  EXPECT_EQ(schema.find("a")->kind, ValueKind::int64);
  EXPECT_EQ(schema.find("b"), nullptr);
}

TEST(MemoryStateStore, KeepsTheLastValuePut) {
  MemoryStateStore store;
  EXPECT_FALSE(store.get("k").has_value());
  store.put("k", std::string("a\0b", 3));
  EXPECT_EQ(store.get("k"), std::string("a\0b", 3));
  store.put("k", "");
  EXPECT_EQ(store.get("k"), "");
  store.remove("k");
  store.remove("k");
  EXPECT_FALSE(store.get("k").has_value());
}

}  // namespace
}  // namespace tidegate
