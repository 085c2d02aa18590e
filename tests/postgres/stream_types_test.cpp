#include <map>

#include "postgres/detail/baseline.h"
#include "postgres/stream_support.h"
#include "postgres/types_values.h"
#include "support/property.h"

namespace tidegate::postgres::detail {
namespace {

using Rows = std::vector<std::vector<Value>>;

/// The stream is text of the server's output functions, a baseline mostly binary: one type map makes one value of both.
class StreamTypes : public StreamTest {
 protected:
  const std::vector<TypeUnderTest> types = typesUnderTest();
  SourceOptions options = testSource();
  std::vector<std::string> tables;

  void SetUp() override {
    StreamTest::SetUp();
    options.connect.settings = {{"search_path", "s"}, {"lc_monetary", "C"}};
    db().execute({"SET search_path = s, public", "SET lc_monetary = 'C'"});
    db().execute(typesSetup());
    for (std::size_t i = 0; i < types.size(); ++i) {
      tables.push_back("s.t" + std::to_string(i));
      db().execute({"CREATE TABLE " + tables[i] + " (id integer PRIMARY KEY, v " + types[i].type + ")",
                    "ALTER TABLE " + tables[i] + " REPLICA IDENTITY FULL"});
    }
  }
  Rows byCopy(const std::string& table) const {
    auto stream = readTable(options, table, {});
    Rows rows;
    for (std::vector<Value> row; stream->next(row);) rows.push_back(row);
    return rows;
  }
  static void expectSame(const Rows& got, const Rows& wanted, const std::string& what) {
    ASSERT_EQ(got.size(), wanted.size()) << what;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      EXPECT_TRUE(got[i] == wanted[i]) << what << ": " << describe(got[i][1], 200) << " from the stream, "
                                       << describe(wanted[i][1], 200) << " by COPY";
    }
  }
};

TEST_F(StreamTypes, BringTheValuesThatABaselineReads) {
  make(options);
  const Position at = reader->baseline(tables);
  reader->forget();
  reader->start(tables, at);
  std::size_t events = 0;
  int id = 0;
  test::forEachSeed(3, [&](std::uint64_t seed) {
    test::Random random(seed);
    const int first = id;
    for (std::size_t i = 0; i < types.size(); ++i) {
      id = first;
      std::string insert = "INSERT INTO " + tables[i] + " VALUES (" + std::to_string(++id) + ", NULL)";
      while (id < first + 30) insert += fmt::format(", ({}, ({})::{})", ++id, types[i].literal(random), types[i].type);
      db().execute({insert});
      events += 30;
    }
    ASSERT_TRUE(reader->awaitEvents(events)) << reader->error();
  });
  std::map<std::string, Rows> streamed, erased, read;
  for (const ChangeEvent& event : reader->events()) streamed[event.shape->schema.table].push_back(event.after);
  for (std::size_t i = 0; i < types.size(); ++i) read[tables[i]] = byCopy(tables[i]);
  // And the old rows, which are sent whole.
  for (const std::string& table : tables) db().execute({"DELETE FROM " + table});
  ASSERT_TRUE(reader->awaitEvents(events * 2)) << reader->error();
  for (const ChangeEvent& event : reader->events()) {
    if (event.op == ChangeOp::erase) erased[event.shape->schema.table].push_back(event.before);
  }
  for (std::size_t i = 0; i < types.size(); ++i) {
    expectSame(streamed[tables[i]], read[tables[i]], types[i].type);
    expectSame(erased[tables[i]], read[tables[i]], types[i].type + ", erased");
  }
}

}  // namespace
}  // namespace tidegate::postgres::detail
