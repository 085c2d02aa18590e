#include "tidegate/jobs/replication_job.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "jobs/jobs_rig.h"

namespace tidegate::test {
namespace {

ReplicationJob fullJob() {
  return {.name = "users-eu_1",
          .source = {.dialect = Dialect::postgres,
                     .host = "db.example",
                     .port = 5432,
                     .user = "reader",
                     .password = "pw",
                     .database = "shop",
                     .tls = JobTls::verifyFull,
                     .caFile = "/ca.pem"},
          .table = "public.users",
          .trackingColumn = "updated_at",
          .cron = "*/5 * * * *",
          .timeZone = "Europe/Berlin",
          .target = "users_copy",
          .columns = {"a", "b"},
          .primaryKey = {"id"},
          .batchSize = 10,
          .pageCap = 7,
          .lookback = std::chrono::milliseconds(1'500),
          .deleteCheck = std::chrono::hours(24),
          .maxDeleteFraction = 0.25,
          .catchUp = CatchUp::skip};
}

TEST(ReplicationJob, ComesBackFromItsJsonButForItsSecrets) {
  ReplicationJob job = fullJob();
  ReplicationJob back = jobFromJson(toJson(job));
  EXPECT_EQ(back.source.password, "");
  back.source.password = job.source.password;
  EXPECT_TRUE(back == job);
  EXPECT_NO_THROW(validate(back));
}

TEST(ReplicationJob, TakesWhatAPatchNamesAndNothingElse) {
  ReplicationJob job = patchedJob(fullJob(), R"({"source": {"host": "other"}, "batch_size": 99, "lookback": 0.25})");
  EXPECT_EQ(job.source.host, "other");
  EXPECT_EQ(job.source.password, "pw");
  EXPECT_EQ(job.batchSize, 99u);
  EXPECT_EQ(job.lookback, std::chrono::milliseconds(250));
  EXPECT_EQ(job.table, "public.users");
}

TEST(ReplicationJob, NamesTheMemberThatIsWrong) {
  const auto refusal = [](const char* json) { return errorFrom([&] { jobFromJson(json); }).message(); };
  EXPECT_NE(refusal("{").find("not JSON"), std::string::npos);
  EXPECT_NE(refusal("[]").find("must be an object"), std::string::npos);
  EXPECT_NE(refusal(R"({"nome": "x"})").find("nome: is not known"), std::string::npos);
  EXPECT_NE(refusal(R"({"source": {"pasword": "x"}})").find("source.pasword"), std::string::npos);
  EXPECT_NE(refusal(R"({"batch_size": -1})").find("batch_size"), std::string::npos);
  EXPECT_NE(refusal(R"({"batch_size": 1.5})").find("batch_size"), std::string::npos);
  EXPECT_NE(refusal(R"({"batch_size": 1e300})").find("batch_size"), std::string::npos);
  EXPECT_NE(refusal(R"({"mode": "full"})").find("\"incremental\", \"diff\", \"cdc\""), std::string::npos);
  EXPECT_NE(refusal(R"({"columns": ["a", 1]})").find("columns"), std::string::npos);
  EXPECT_NE(refusal(R"({"lookback": "5s"})").find("lookback"), std::string::npos);
  EXPECT_NE(refusal(R"({"source": {"dialect": "oracle"}})").find("source.dialect"), std::string::npos);
  EXPECT_NE(refusal(R"({"source": {"port": 65536}})").find("source.port"), std::string::npos);
}

TEST(ReplicationJob, IsCheckedFieldByField) {
  const auto refusal = [](const std::function<void(ReplicationJob&)>& change) {
    ReplicationJob job = fullJob();
    change(job);
    const Error e = errorFrom([&] { validate(job); });
    EXPECT_EQ(e.code(), ErrorCode::invalidConfig);
    return e.message();
  };
  EXPECT_NO_THROW(validate(fullJob()));
  for (const char* name : {"", "a b", "a/b", "ä", "a.b", "'; DROP TABLE jobs; --"}) {
    EXPECT_NE(refusal([&](auto& job) { job.name = name; }).find("A-Z a-z 0-9 _ -"), std::string::npos) << name;
  }
  refusal([](auto& job) { job.name = std::string(65, 'a'); });
  EXPECT_NE(refusal([](auto& job) { job.table = ""; }).find("table_name"), std::string::npos);
  EXPECT_NE(refusal([](auto& job) { job.table = std::string("a\0b", 3); }).find("table_name"), std::string::npos);
  EXPECT_NE(refusal([](auto& job) { job.trackingColumn = ""; }).find("tracking_col"), std::string::npos);
  EXPECT_NE(refusal([](auto& job) { job.trackingColumn = "\xff"; }).find("tracking_col"), std::string::npos);
  EXPECT_NE(refusal([](auto& job) { job.columns = {"a", "a"}; }).find("twice"), std::string::npos);
  EXPECT_NE(refusal([](auto& job) { job.cron = "61 * * * *"; }).find("cron_tab"), std::string::npos);
  EXPECT_NE(refusal([](auto& job) { job.timeZone = "Mars/Base"; }).find("time_zone"), std::string::npos);
  EXPECT_NE(refusal([](auto& job) { job.batchSize = 0; }).find("batch_size"), std::string::npos);
  EXPECT_NE(refusal([](auto& job) { job.batchSize = 10'001; }).find("batch_size"), std::string::npos);
  EXPECT_NE(refusal([](auto& job) { job.pageCap = 0; }).find("page_cap"), std::string::npos);
  EXPECT_NE(refusal([](auto& job) { job.source.host = ""; }).find("source"), std::string::npos);
  EXPECT_NE(refusal([](auto& job) { job.maxDeleteFraction = 1.5; }).find("max_delete_fraction"), std::string::npos);
  EXPECT_NE(refusal([](auto& job) { job.mode = JobMode::cdc; }).find("tracking_col"), std::string::npos);
  EXPECT_NE(refusal([](auto& job) { job.source.password = std::string(5'000, 'p'); }).find("source.password"),
            std::string::npos);
}

TEST(JobRunJson, ComesBackFromItsText) {
  JobsRig rig;
  rig.source.exec("INSERT INTO users VALUES (1, 'a', '2026-01-01 10:00:00')");
  rig.jobs->create(rig.users());
  rig.clock.advance(std::chrono::microseconds(61'234'567));
  const JobRun run = rig.run();
  ASSERT_EQ(rig.jobs->history("users").size(), 1u);
  EXPECT_TRUE(rig.jobs->history("users")[0] == run);
  EXPECT_TRUE(nlohmann::json::accept(toJson(rig.jobs->list())));
}

}  // namespace
}  // namespace tidegate::test
