#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <sstream>
#include <string>

#include "jobs/detail/job_secrets.h"
#include "jobs/jobs_rig.h"
#include "support/property.h"
#include "tidegate/source/test_source.h"
#include "tidegate/sqlite/job_store.h"

namespace tidegate::test {
namespace {

using Texts = std::vector<std::string>;

// Another one in each place, or one would hide that the others are not looked for.
constexpr const char* kPassword = "hunter2-correct-horse";
constexpr const char* kDsnPassword = "b@ttery/staple";
constexpr const char* kDsnPasswordEncoded = "b%40ttery%2Fstaple";

/// What spdlog's default logger is told meanwhile.
class CapturedLog {
 public:
  CapturedLog() {
    auto logger = std::make_shared<spdlog::logger>("captured", std::make_shared<spdlog::sinks::ostream_sink_mt>(text_));
    logger->set_level(spdlog::level::trace);
    spdlog::set_default_logger(std::move(logger));
  }
  CapturedLog(const CapturedLog&) = delete;
  CapturedLog& operator=(const CapturedLog&) = delete;
  ~CapturedLog() { spdlog::set_default_logger(before_); }
  std::string text() const { return text_.str(); }

 private:
  std::ostringstream text_;
  std::shared_ptr<spdlog::logger> before_ = spdlog::default_logger();
};

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

using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, void (*)(EVP_CIPHER_CTX*)>;

const unsigned char* octets(const std::string& text) { return reinterpret_cast<const unsigned char*>(text.data()); }
unsigned char* octets(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

/// AES-256-GCM by OpenSSL alone, both ways. @return what comes out, and for sealing the tag behind it; nullopt:
/// refused.
std::optional<std::string> gcm(bool seal, const std::string& key, const std::string& nonce, const std::string& context,
                               const std::string& in, std::string tag = {}) {
  const CipherContext cipher(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  EXPECT_EQ(EVP_CipherInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, octets(key), octets(nonce), seal ? 1 : 0), 1);
  int size = 0, rest = 0;
  EXPECT_EQ(EVP_CipherUpdate(cipher.get(), nullptr, &size, octets(context), static_cast<int>(context.size())), 1);
  std::string out(in.size() + 16, '\0');
  EXPECT_EQ(EVP_CipherUpdate(cipher.get(), octets(out), &size, octets(in), static_cast<int>(in.size())), 1);
  if (!seal) {
    EXPECT_EQ(EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, 16, octets(tag)), 1);
  }
  if (EVP_CipherFinal_ex(cipher.get(), octets(out) + size, &rest) != 1) return std::nullopt;
  EXPECT_EQ(size, static_cast<int>(in.size()));
  if (!seal) return out.substr(0, in.size());
  EXPECT_EQ(EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, 16, octets(out) + in.size()), 1);
  return out;
}

std::string fromText(const std::string& base64) {
  std::string out(base64.size() / 4 * 3, '\0');
  EXPECT_EQ(EVP_DecodeBlock(octets(out), octets(base64), static_cast<int>(base64.size())),
            static_cast<int>(out.size()));
  out.resize(out.size() - static_cast<std::size_t>(std::count(base64.begin(), base64.end(), '=')));
  return out;
}

std::string toText(const std::string& in) {
  std::string out((in.size() + 2) / 3 * 4 + 1, '\0');
  EVP_EncodeBlock(octets(out), octets(in), static_cast<int>(in.size()));
  out.pop_back();
  return out;
}

/// A round trip alone would pass with any cipher, or none.
TEST(JobKey, SealsWithAes256GcmAsOpenSslKnowsIt) {
  const std::string key(32, 'k'), plain = "hunter2-correct-horse", context = "job a";
  const std::string sealed = fromText(testKey().seal(plain, context));
  // Version, nonce, ciphertext, tag.
  ASSERT_EQ(sealed.size(), 1 + 12 + plain.size() + 16);
  EXPECT_EQ(sealed[0], 1);
  const std::string nonce = sealed.substr(1, 12), body = sealed.substr(13, plain.size());
  const std::string tag = sealed.substr(13 + plain.size());
  EXPECT_EQ(gcm(false, key, nonce, context, body, tag), plain);
  EXPECT_FALSE(gcm(false, key, nonce, "job b", body, tag)) << "the context is not authenticated";
  EXPECT_FALSE(gcm(false, std::string(32, 'x'), nonce, context, body, tag));

  const std::string fixed = "0123456789ab";
  const auto made = gcm(true, key, fixed, context, plain);
  ASSERT_TRUE(made);
  EXPECT_EQ(testKey().open(toText(std::string(1, 1) + fixed + *made), context), plain);
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

/// A driver that fails with every secret in its message, as no driver should.
JobDriver leakyDriver() {
  JobDriver driver = sqlite::jobDriver();
  driver.connect = [](const JobSource& source) -> QueryFn {
    throw Error(ErrorCode::connectionFailed, Retry::later,
                "no route for " + source.dsn + " with " + source.password + " password=" + source.password +
                    ", or as " + kDsnPasswordEncoded + ", which is " + kDsnPassword + "; (using: '" + kDsnPassword +
                    "')");
  };
  return driver;
}

ReplicationJob secretJob() {
  return {.name = "secret",
          .source = {.dialect = Dialect::mysql,
                     .dsn = std::string("mysql://me:") + kDsnPasswordEncoded + "@db.example/shop",
                     .password = kPassword},
          .table = "t",
          .trackingColumn = "at",
          .cron = "@hourly"};
}

TEST(JobSecrets, AreKnownInEveryFormThatAMessageMayRepeat) {
  const auto of = [](const std::string& dsn, const std::string& password = "") {
    return detail::secretsOf({.dsn = dsn, .password = password});
  };
  EXPECT_EQ(of("postgresql://me:s%40cret@h/db"), (Texts{"s%40cret", "s@cret"}));
  EXPECT_EQ(of("mysql://me:a/b?c#d@h/db", "another"), (Texts{"a/b?c#d", "another"}));
  EXPECT_EQ(of("postgresql://me@h/db?sslmode=off&password=in%3Aquery&x=1"), (Texts{"in%3Aquery", "in:query"}));
  EXPECT_EQ(of("postgresql://h/db?sslpassword=ofthekey"), (Texts{"ofthekey"}));
  EXPECT_EQ(of("host=h password = 'it\\'s ours' user=me"), (Texts{"it\\'s ours", "it's ours"}));
  EXPECT_EQ(of("host=h password=plain user=me"), (Texts{"plain"}));
  for (const char* none : {"", "postgresql://me@h/db", "postgresql://h:5432/db", "postgresql://[::1]:5432/db", "host=h",
                           "host", "password", "password=", "mysql://me:@h/db", "://", "mysql://me:x%@h"}) {
    EXPECT_EQ(of(none), Texts()) << none;
  }
  EXPECT_EQ(detail::withoutSecrets("no: s@cret, s%40cret or pass", {.dsn = "x://u:s%40cret@h", .password = "pass"}),
            "no: ***, *** or ***");
}

/// Everything that is said of a job whose driver repeats its secrets: to its caller, in answers, in files, to
/// observers, in the log.
std::string everythingToldOfALeakyJob(bool observed) {
  JobsRig rig;
  const CapturedLog log;
  const std::string path = rig.dir / "jobs.db";
  ReplicationJobsOptions options = rig.options();
  options.store = sqlite::jobStore(path);
  if (!observed) options.observer = nullptr;
  bool leaks = false;
  JobDriver driver = sqlite::jobDriver();
  driver.connect = [&, real = driver.connect](const JobSource& source) {
    EXPECT_EQ(source.password, kPassword) << "a run needs the secret itself";
    EXPECT_NE(source.dsn.find(kDsnPasswordEncoded), std::string::npos);
    if (leaks) return leakyDriver().connect(source);
    return real({.dialect = Dialect::sqlite, .database = rig.sourcePath});
  };
  options.drivers = {{Dialect::mysql, driver}};
  ReplicationJobs jobs(options);
  ReplicationJob job = secretJob();
  job.table = "users";
  job.trackingColumn = "updated_at";
  jobs.create(job);
  EXPECT_EQ(jobs.run("secret").outcome, RunOutcome::ok);
  leaks = true;
  const JobRun run = jobs.run("secret");
  EXPECT_EQ(run.outcome, RunOutcome::failed);
  job.cron = "@daily";
  const std::string refused = errorFrom([&] { jobs.create(job); }).what();
  std::string all = refused + *run.error + toJson(run) + toJson(jobs.get("secret")) + toJson(jobs.list()) +
                    toJson(jobs.history("secret")) + toJson(job) + *jobs.get("secret").lastError;
  for (const std::string& warning : rig.observer->warnings) all += warning;
  for (const char* end : {"", "-wal", "-shm"}) all += octetsOf(path + end);
  EXPECT_EQ(log.text().empty(), observed) << "without an observer failures go to the log";
  return all + log.text();
}

TEST(JobSecrets, StandInNoAnswerNoErrorNoFileAndNoLog) {
  for (const bool observed : {true, false}) {
    const std::string all = everythingToldOfALeakyJob(observed);
    for (const char* secret : {kPassword, kDsnPassword, kDsnPasswordEncoded}) {
      EXPECT_EQ(all.find(secret), std::string::npos)
          << secret << " in …" << all.substr(all.find(secret) < 80 ? 0 : all.find(secret) - 80, 160);
    }
    EXPECT_NE(all.find("***"), std::string::npos);
  }
}

/// What a stream's driver says comes by other ways: as its engine's warnings, and as it is dropped.
TEST(JobSecrets, OfAStreamStandInNoLogEither) {
  JobsRig rig;
  const CapturedLog log;
  ReplicationJobsOptions options = rig.options();
  options.observer = nullptr;
  bool leaks = false;
  JobDriver driver;
  driver.connect = [](const JobSource&) { return QueryFn(); };
  driver.describe = [](const QueryFn&, const std::string& table, std::stop_token) {
    return JobTable{.schema = {.table = table,
                               .columns = {{.name = "id", .kind = ValueKind::int64, .nullable = false}},
                               .primaryKey = {"id"}},
                    .sqlName = table};
  };
  const auto db = std::make_shared<TestDatabase>();
  db->createTable({.table = "users",
                   .columns = {{.name = "id", .kind = ValueKind::int64, .nullable = false}},
                   .primaryKey = {"id"}});
  driver.stream = [&](const JobSource& source, const JobStream&) -> std::shared_ptr<SyncSource> {
    if (leaks) (void)leakyDriver().connect(source);
    return std::make_shared<TestSource>(db);
  };
  options.drivers = {{Dialect::postgres, driver}};
  ReplicationJobs jobs(options);
  ReplicationJob job = secretJob();
  job.source.dialect = Dialect::postgres;
  job.table = "users";
  job.mode = JobMode::cdc;
  job.trackingColumn = job.cron = "";
  jobs.create(job);
  leaks = true;
  EXPECT_FALSE(jobs.remove("secret"));
  const std::string all = log.text();
  EXPECT_NE(all.find("is still there"), std::string::npos) << all;
  for (const char* secret : {kPassword, kDsnPassword, kDsnPasswordEncoded}) {
    EXPECT_EQ(all.find(secret), std::string::npos) << all;
  }
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
