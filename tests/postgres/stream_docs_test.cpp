#include <fstream>

#include "postgres/stream_support.h"

namespace tidegate::postgres::detail {
namespace {

/// The statements of a page's ```sql blocks, in their order, without comments.
std::vector<std::string> statementsOf(const std::string& page) {
  std::ifstream in(std::string(TIDEGATE_DOCS) + "/" + page);
  std::vector<std::string> statements;
  std::string held;
  bool inside = false;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("```")) {
      inside = line == "```sql";
      continue;
    }
    if (!inside) continue;
    line = line.substr(0, line.find("--"));
    line.erase(line.find_last_not_of(' ') + 1);
    held += line + "\n";
    if (!line.ends_with(';')) continue;
    statements.push_back(held);
    held.clear();
  }
  return statements;
}

/// docs/postgres-source.md, tried in a database of its own.
class StreamDocs : public StreamTest {
 protected:
  void SetUp() override {
    StreamTest::SetUp();
    leave();
    db().execute({"CREATE DATABASE shop"});
    shop_ = std::make_unique<TestLink>(inShop());
    shop_->execute({"CREATE TABLE users (id int PRIMARY KEY, name text)",
                    "CREATE TABLE orders (id int PRIMARY KEY, region text, total numeric)"});
  }
  void TearDown() override {
    reader.reset();
    source.reset();
    shop_.reset();
    StreamTest::TearDown();
    leave();
  }
  static ConnectOptions inShop() {
    ConnectOptions options = testOptions();
    options.database = "shop";
    return options;
  }
  TestLink& shop() { return *shop_; }

 private:
  void leave() {
    db().execute({"ALTER SYSTEM RESET wal_level", "ALTER SYSTEM RESET max_replication_slots",
                  "ALTER SYSTEM RESET max_wal_senders", "ALTER SYSTEM RESET max_slot_wal_keep_size",
                  "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = 'replica_eu'",
                  "DROP DATABASE IF EXISTS shop WITH (FORCE)", "DROP ROLE IF EXISTS replicator"});
  }
  std::unique_ptr<TestLink> shop_;
};

TEST_F(StreamDocs, EveryStatementRuns) {
  shop().execute({"SELECT pg_create_logical_replication_slot('replica_eu', 'pgoutput')"});
  const auto statements = statementsOf("postgres-source.md");
  ASSERT_GE(statements.size(), 15u);
  for (const std::string& statement : statements) {
    EXPECT_NO_THROW(shop().run(statement)) << statement;
  }
  EXPECT_EQ(db().ask("SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'replica_eu'"), "0");
}

TEST_F(StreamDocs, TheRoleHasAllThatAPublicationOfTheOperatorsNeeds) {
  for (const std::string& statement : statementsOf("postgres-source.md")) {
    if (statement.find("ALTER SYSTEM") == std::string::npos && statement.find("DROP") == std::string::npos &&
        statement.find("pg_drop") == std::string::npos) {
      shop().run(statement);
    }
  }
  SourceOptions options = testSource();
  options.connect = inShop();
  options.connect.user = "replicator";
  options.connect.password = "…";
  options.publication = {.name = "shop", .manage = PublicationMode::leaveAlone};
  make(options);
  EXPECT_TRUE(source->validateTables({}).empty());
  EXPECT_TRUE(source->validateTables({"public.users", "public.orders"}).empty());
  const Position at = reader->baseline({"public.users", "public.orders"});
  reader->forget();
  reader->start({"public.users", "public.orders"}, at);
  shop().execute({"INSERT INTO orders VALUES (1, 'eu', 2.50)"});
  ASSERT_TRUE(reader->awaitEvents(1)) << reader->error();
  EXPECT_EQ(reader->texts(), (std::vector<std::string>{"insert public.orders (1, eu, 2.50)"}));
}

/// Of encoding SQL_ASCII, where names need not be UTF-8.
class StreamAscii : public StreamTest {
 protected:
  void SetUp() override {
    StreamTest::SetUp();
    db().execute({"DROP DATABASE IF EXISTS stream_ascii WITH (FORCE)",
                  "CREATE DATABASE stream_ascii TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'"});
  }
  void TearDown() override {
    StreamTest::TearDown();
    db().execute({"DROP DATABASE IF EXISTS stream_ascii WITH (FORCE)"});
  }
};

TEST_F(StreamAscii, ATableThatNobodyCanNameDoesNotStopTheOthers) {
  SourceOptions options = testSource();
  options.connect.database = "stream_ascii";
  options.publication.manage = PublicationMode::leaveAlone;
  TestLink ascii(options.connect);
  ascii.execute({"SET client_encoding = 'SQL_ASCII'", "CREATE TABLE public.t (id int PRIMARY KEY, v text)",
                 "CREATE TABLE public.\"\xff\" (id int PRIMARY KEY)",
                 "CREATE PUBLICATION tidegate_test FOR ALL TABLES"});
  follow({"public.t"}, options);
  ascii.execute({"INSERT INTO public.\"\xff\" VALUES (1)", "INSERT INTO public.t VALUES (1, E'caf\\xe9')"});
  ASSERT_TRUE(reader->awaitEvents(1)) << reader->error();
  EXPECT_TRUE(reader->events()[0].after[1] == Value(Bytes{"caf\xe9"}));
}

}  // namespace
}  // namespace tidegate::postgres::detail
