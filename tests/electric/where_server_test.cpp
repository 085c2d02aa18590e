// The evaluator against PostgreSQL itself: random conditions, as they were written and as they are printed, take the
// same rows there and here. Under tests/servers/with_servers.sh.
#include <gtest/gtest.h>
#include <libpq-fe.h>

#include <cstdlib>
#include <memory>
#include <set>

#include "electric/detail/pg_text.h"
#include "electric/where_model.h"
#include "tidegate/core/error.h"
#include "tidegate/electric/where.h"

namespace tidegate::electric::test {
namespace {

struct Result {
  bool ok = false;
  std::string error{};
  std::set<std::string> firstColumn{};
};

/// A connection with a table of random rows, which ends with it.
class Server {
 public:
  Server() : link_(PQconnectdb(std::getenv("TIDEGATE_POSTGRES_URL"))) {
    EXPECT_EQ(PQstatus(link_.get()), CONNECTION_OK) << PQerrorMessage(link_.get());
    run("SET timezone = 'UTC'");
    run("CREATE TEMP TABLE things(id int8 PRIMARY KEY, n int8, m int8, price numeric, ratio float8, "
        "title text COLLATE \"C\", note text COLLATE \"C\", done bool, day date, at timestamptz)");
  }
  void insert(const std::vector<Value>& row) {
    std::vector<std::string> texts;
    std::vector<const char*> values;
    for (const Value& value : row) texts.push_back(value.isNull() ? "" : detail::pgText(value));
    for (std::size_t i = 0; i < row.size(); ++i) values.push_back(row[i].isNull() ? nullptr : texts[i].c_str());
    PGresult* result = PQexecParams(link_.get(), "INSERT INTO things VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10)", 10,
                                    nullptr, values.data(), nullptr, nullptr, 0);
    EXPECT_EQ(PQresultStatus(result), PGRES_COMMAND_OK) << PQresultErrorMessage(result);
    PQclear(result);
  }
  Result run(const std::string& sql) {
    PGresult* result = PQexec(link_.get(), sql.c_str());
    const ExecStatusType status = PQresultStatus(result);
    Result out{.ok = status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK, .error = PQresultErrorMessage(result)};
    for (int i = 0; i < PQntuples(result); ++i) out.firstColumn.insert(PQgetvalue(result, i, 0));
    PQclear(result);
    return out;
  }

 private:
  struct Close {
    void operator()(PGconn* link) const { PQfinish(link); }
  };
  std::unique_ptr<PGconn, Close> link_;
};

class WhereOnServer : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NE(std::getenv("TIDEGATE_POSTGRES_URL"), nullptr) << "run it under tests/servers/with_servers.sh";
    server.emplace();
    tidegate::test::Random random(7);
    for (std::int64_t id = 0; id < 120; ++id) {
      rows.push_back(randomRow(random).values(id));
      server->insert(rows.back());
    }
  }
  std::set<std::string> taken(const Where& where) const {
    std::set<std::string> ids;
    for (const auto& row : rows) {
      if (where.matches(row)) ids.insert(detail::pgText(row[0]));
    }
    return ids;
  }
  std::optional<Server> server;
  std::vector<std::vector<Value>> rows;
};

TEST_F(WhereOnServer, RandomConditionsTakeTheSameRows) {
  std::size_t compared = 0;
  tidegate::test::forEachSeed(3'000, [&](std::uint64_t seed) {
    tidegate::test::Random random(seed);
    // Without parentheses it is the server's grammar that says what belongs together.
    const std::string text = randomCondition(random, 4, seed % 2 == 0).text;
    const Result there = server->run("SELECT id FROM things WHERE " + text);
    std::optional<Where> where;
    try {
      where = Where::parse(text, thingsSchema());
    } catch (const Error& e) {
      ASSERT_FALSE(there.ok) << text << " is taken by the server, and refused here: " << e.what();
      return;
    }
    ASSERT_TRUE(there.ok) << text << " is refused by the server: " << there.error;
    ASSERT_EQ(taken(*where), there.firstColumn) << text << "\n" << where->text();
    const Result printed = server->run("SELECT id FROM things WHERE " + where->text());
    ASSERT_TRUE(printed.ok) << where->text() << ": " << printed.error;
    ASSERT_EQ(printed.firstColumn, there.firstColumn) << text << "\n" << where->text();
    ++compared;
  });
  if (std::getenv("TIDEGATE_SEED") == nullptr) {
    EXPECT_GT(compared, 2'500u);
  }
}

TEST_F(WhereOnServer, ValuesPrintAsTheServerPrintsThem) {
  const std::vector<std::pair<const char*, Value>> values{{"float8", 0.1},
                                                          {"float8", 1e15},
                                                          {"float8", 123456789012345680.0},
                                                          {"float8", 100000000000000.0},
                                                          {"float8", 1e-4},
                                                          {"float8", 9.5e-5},
                                                          {"float8", -1.5e300},
                                                          {"float8", 5e-324},
                                                          {"date", Date{-719'529}},
                                                          {"date", Date{2'932'896 + 400}},
                                                          {"timestamptz", Timestamp::utc(-62'167'219'200'000'001)},
                                                          {"timestamptz", Timestamp::utc(1'700'000'000'120'000)},
                                                          {"timestamp", Timestamp::local(253'402'300'800'000'000)},
                                                          {"time", Time{3'600'000'100}},
                                                          {"bytea", Bytes{std::string("\0\x7f\xff", 3)}},
                                                          {"bool", true},
                                                          {"numeric", Decimal{"-0.00100"}},
                                                          {"uuid", Uuid{{0xab, 0xcd}}}};
  for (const auto& [type, value] : values) {
    const std::string text = detail::pgText(value);
    const Result there = server->run("SELECT '" + text + "'::" + type + "::text");
    ASSERT_TRUE(there.ok) << text << ": " << there.error;
    EXPECT_EQ(*there.firstColumn.begin(), text) << type;
  }
}

TEST_F(WhereOnServer, LiteralsThatAreTakenMeanTheSameThere) {
  const std::vector<std::string> conditions{"price = '1e0'",
                                            "price < 'NaN'",
                                            "ratio = '.5'",
                                            "ratio < 'inf'",
                                            "n = ' 1 '",
                                            "n = '+1'",
                                            "done = 'y'",
                                            "done = 'OFF'",
                                            "day = '1970-01-02'",
                                            "at >= '1970-01-02'",
                                            "at = '1970-01-02 02:00:00+02'",
                                            "at < 'infinity'",
                                            "day > '-infinity'",
                                            "n BETWEEN -1 AND 1.5",
                                            "title LIKE 'a!%%' ESCAPE '!'",
                                            "title LIKE '\\\\' ESCAPE ''",
                                            "n::text = '1'",
                                            "ratio::text = '0.5'",
                                            "done::text = 'true'",
                                            "at::text LIKE '1970-01-02%'",
                                            "day::text = '1970-01-01'",
                                            "price::text = '0.5'",
                                            "n::numeric = price",
                                            "day = date '1970-01-03'",
                                            "CAST(n AS float8) = ratio"};
  for (const std::string& text : conditions) {
    const Where where = Where::parse(text, thingsSchema());
    const Result there = server->run("SELECT id FROM things WHERE " + text);
    ASSERT_TRUE(there.ok) << text << ": " << there.error;
    EXPECT_EQ(taken(where), there.firstColumn) << text;
  }
}

}  // namespace
}  // namespace tidegate::electric::test
