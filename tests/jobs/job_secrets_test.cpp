#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "jobs/jobs_rig.h"
#include "support/property.h"
#include "tidegate/sqlite/job_store.h"

namespace tidegate::test {
namespace {

constexpr const char* kPassword = "hunter2-correct-horse";

std::string octetsOf(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(JobKey, OpensWhatItSealedForThatContextAlone) {
  forEachSeed(50, [](std::uint64_t seed) {
    Random random(seed);
    std::string plain(random.index(300), '\0');
    for (char& c : plain) c = static_cast<char>(random.below(256));
    const JobKey key = testKey();
    const std::string sealed = key.seal(plain, "job a");
    EXPECT_EQ(key.open(sealed, "job a"), plain);
    EXPECT_NE(key.seal(plain, "job a"), sealed) << "a nonce was used twice";
    EXPECT_EQ(errorFrom([&] { key.open(sealed, "job b"); }).code(), ErrorCode::storeCorrupt);
    EXPECT_EQ(errorFrom([&] { JobKey::fromBytes(std::string(32, 'x')).open(sealed, "job a"); }).code(),
              ErrorCode::storeCorrupt);
    std::string changed = sealed;
    char& c = changed[random.index(changed.size())];
    c = c == 'A' ? 'B' : 'A';
    EXPECT_THROW(key.open(changed, "job a"), Error);
    EXPECT_THROW(key.open(sealed.substr(0, random.index(sealed.size())), "job a"), Error);
  });
}

TEST(JobKey, MakesAFileThatItsOwnerAloneMayRead) {
  const testing::TempDir dir;
  const std::string path = dir / "jobs.key";
  const std::string sealed = JobKey::fromFile(path).seal("secret", "c");
  struct stat info {};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_EQ(JobKey::fromFile(path).open(sealed, "c"), "secret");
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(path).parent_path())) {
    (void)entry;
    ++files;
  }
  EXPECT_EQ(files, 1u) << "something was left beside the key";
  ::chmod(path.c_str(), 0640);
  EXPECT_EQ(errorFrom([&] { JobKey::fromFile(path); }).code(), ErrorCode::permissionDenied);
  ::chmod(path.c_str(), 0600);
  std::ofstream(path) << "short";
  EXPECT_EQ(errorFrom([&] { JobKey::fromFile(path); }).code(), ErrorCode::storeCorrupt);
  EXPECT_EQ(errorFrom([&] { JobKey::fromFile(dir / "no/such/folder"); }).code(), ErrorCode::storeUnavailable);
}

/// A driver that fails with the password in its message, as no driver should.
JobDriver leakyDriver() {
  JobDriver driver = sqlite::jobDriver();
  driver.connect = [](const JobSource& source) -> QueryFn {
    throw Error(ErrorCode::connectionFailed, Retry::later,
                "no route for " + source.dsn + " with " + source.password + " password=" + source.password);
  };
  return driver;
}

ReplicationJob secretJob() {
  return {.name = "secret",
          .source = {.dialect = Dialect::mysql,
                     .dsn = std::string("mysql://me:") + kPassword + "@db.example/shop",
                     .password = kPassword},
          .table = "t",
          .trackingColumn = "at",
          .cron = "@hourly"};
}

TEST(JobSecrets, StandInNoAnswerNoErrorAndNoFile) {
  JobsRig rig;
  const std::string path = rig.dir / "jobs.db";
  ReplicationJobsOptions options = rig.options();
  options.store = sqlite::jobStore(path);
  bool leaks = false;
  JobDriver driver = sqlite::jobDriver();
  driver.connect = [&, real = driver.connect](const JobSource& source) {
    EXPECT_EQ(source.password, kPassword) << "a run needs the secret itself";
    if (leaks) return leakyDriver().connect(source);
    return real({.dialect = Dialect::sqlite, .database = rig.sourcePath});
  };
  options.drivers = {{Dialect::mysql, driver}};
  ReplicationJobs jobs(options);
  ReplicationJob job = secretJob();
  job.table = "users";
  job.trackingColumn = "updated_at";
  jobs.create(job);
  leaks = true;
  const JobRun run = jobs.run("secret");
  EXPECT_EQ(run.outcome, RunOutcome::failed);
  job.cron = "@daily";
  const std::string refused = errorFrom([&] { jobs.create(job); }).what();
  std::string all = refused + *run.error + toJson(run) + toJson(jobs.get("secret")) + toJson(jobs.list()) +
                    toJson(jobs.history("secret")) + toJson(job) + *jobs.get("secret").lastError;
  for (const std::string& warning : rig.observer->warnings) all += warning;
  for (const char* end : {"", "-wal", "-shm"}) all += octetsOf(path + end);
  EXPECT_EQ(all.find(kPassword), std::string::npos);
  EXPECT_NE(all.find("***"), std::string::npos);
}

TEST(JobSecrets, StayAsTheyAreWhereTheirMaskIsGivenBack) {
  JobsRig rig;
  ReplicationJobsOptions options = rig.options();
  std::string seen;
  JobDriver driver = sqlite::jobDriver();
  driver.connect = [&, real = driver.connect](const JobSource& source) {
    seen = source.password + " " + source.dsn;
    return real({.dialect = Dialect::sqlite, .database = rig.sourcePath});
  };
  options.drivers = {{Dialect::mysql, driver}};
  ReplicationJobs jobs(options);
  ReplicationJob job = secretJob();
  job.table = "users";
  job.trackingColumn = "updated_at";
  jobs.create(job);
  const std::string before = seen;
  ReplicationJob shown = patchedJob(jobs.get("secret").job, R"({"cron_tab": "@daily", "source": {"password": "***"}})");
  jobs.create(shown);
  EXPECT_EQ(seen, before);
  // Nobody gets a kept password sent to a server of his own.
  shown.source.host = "evil.example";
  EXPECT_EQ(errorFrom([&] { jobs.create(shown); }).code(), ErrorCode::invalidConfig);
  EXPECT_EQ(seen, before);
  shown.name = "other";
  EXPECT_EQ(errorFrom([&] { jobs.create(shown); }).code(), ErrorCode::invalidConfig);
}

TEST(JobSecrets, AnotherKeyFailsTheRunAndNotTheList) {
  JobsRig rig;
  rig.jobs->create(rig.users());
  ReplicationJobsOptions options = rig.options();
  options.key = JobKey::fromBytes(std::string(32, 'z'));
  ReplicationJobs jobs(options);
  EXPECT_EQ(jobs.list().size(), 1u);
  EXPECT_EQ(jobs.run("users").outcome, RunOutcome::failed);
}

}  // namespace
}  // namespace tidegate::test
