#include "tidegate/durable_streams/file_store.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "durable_streams/sim_disk.h"
#include "durable_streams/temp_folder.h"
#include "tidegate/core/error.h"

namespace tidegate::durable_streams {
namespace {

using namespace std::chrono_literals;

class DurableStreamFiles : public ::testing::Test {
 protected:
  std::shared_ptr<FileStreamStore> open(FileStoreOptions options = {}) {
    options.files = disk.mount();
    options.ownThread = false;
    if (options.segmentBytes == FileStoreOptions{}.segmentBytes) options.segmentBytes = 4096;
    return fileStreamStore(std::move(options));
  }
  static void make(FileStreamStore& store, const std::string& path, const std::string& body = {}) {
    store.create(path, {.contentType = "text/plain", .body = body},
                 [](const StreamResult& r) { EXPECT_EQ(r.verdict, Verdict::done); });
    store.commit();
  }
  static void add(FileStreamStore& store, const std::string& path, const std::string& body) {
    store.append(path, {.contentType = "text/plain", .body = body},
                 [](const StreamResult& r) { EXPECT_EQ(r.verdict, Verdict::done); });
    store.commit();
  }
  std::optional<Error> openFailure() {
    try {
      open();
    } catch (const Error& e) {
      return e;
    }
    return std::nullopt;
  }

  test::Random random{7};
  testing::SimDisk disk{random};
};

TEST_F(DurableStreamFiles, ShowsAChangeToReadersOnlyOnceItIsDurable) {
  auto store = open();
  make(*store, "a", "x");
  bool told = false;
  store->append("a", {.contentType = "text/plain", .body = "y"}, [&](const StreamResult&) { told = true; });
  store->create("b", {}, {});
  EXPECT_FALSE(told);
  EXPECT_EQ(store->read("a", 0, 10).octets, "x");
  EXPECT_EQ(store->head("b").verdict, ReadVerdict::notFound);
  store->commit();
  EXPECT_TRUE(told);
  EXPECT_EQ(store->read("a", 0, 10).octets, "xy");
  EXPECT_EQ(store->head("b").verdict, ReadVerdict::data);
}

TEST_F(DurableStreamFiles, AnAnswerThatRestsOnAPendingChangeWaitsForIt) {
  auto store = open();
  make(*store, "a");
  const AppendToStream append{.contentType = "text/plain", .body = "y", .producer = ProducerStamp{"p", 0, 0}};
  Verdict again = Verdict::notFound;
  store->append("a", append, {});
  store->append("a", append, [&](const StreamResult& r) { again = r.verdict; });
  EXPECT_EQ(again, Verdict::notFound) << "a duplicate of what may still be lost";
  store->commit();
  EXPECT_EQ(again, Verdict::duplicate);
}

TEST_F(DurableStreamFiles, FindsEverythingAgain) {
  {
    auto store = open();
    make(*store, "a", "one");
    store->append("a", {.contentType = "text/plain", .body = "two", .seq = "5", .producer = ProducerStamp{"p", 2, 0}},
                  {});
    store->create("f", {.fork = ForkPoint{.source = "a", .at = 3}}, {});
    store->append("f", {.close = true}, {});
    store->putNote("k", "v", {});
    store->commit();
  }
  auto store = open();
  EXPECT_EQ(store->recovery().streams, 2u);
  EXPECT_EQ(store->recovery().truncatedOctets, 0u);
  EXPECT_EQ(store->read("a", 0, 100).octets, "onetwo");
  EXPECT_EQ(store->read("f", 0, 100).octets, "one");
  EXPECT_TRUE(store->head("f").stream.closed);
  EXPECT_EQ(store->notes().size(), 1u);
  Verdict verdict = Verdict::done;
  store->append("a", {.contentType = "text/plain", .body = "x", .seq = "4"},
                [&](const StreamResult& r) { verdict = r.verdict; });
  EXPECT_EQ(verdict, Verdict::seqNotAfter);
  store->append("a", {.contentType = "text/plain", .body = "x", .producer = ProducerStamp{"p", 2, 0}},
                [&](const StreamResult& r) { verdict = r.verdict; });
  EXPECT_EQ(verdict, Verdict::duplicate);
}

TEST_F(DurableStreamFiles, NamesFileAndOffsetOfADamagedMiddleWhereverItIs) {
  {
    auto store = open({.segmentBytes = 1 << 20});
    make(*store, "a");
    for (int i = 0; i < 10; ++i) add(*store, "a", std::string(50, static_cast<char>('a' + i)));
  }
  const std::string name = disk.names().at(0);
  const std::string good = disk.octets(name);
  // The last commit's octets look like a torn one where they are damaged; all before it were synced for certain.
  const std::size_t lastBatch = good.rfind("TDGB");
  for (std::size_t i = 0; i < lastBatch; ++i) {
    disk.octets(name)[i] = static_cast<char>(good[i] ^ (1 << (i % 8)));
    const auto failure = openFailure();
    ASSERT_TRUE(failure) << "octet " << i;
    EXPECT_TRUE(failure->code() == ErrorCode::storeCorrupt || failure->code() == ErrorCode::invalidConfig)
        << failure->what();
    EXPECT_NE(failure->message().find(name), std::string::npos) << failure->what();
    EXPECT_EQ(disk.octets(name).size(), good.size()) << "nothing was cut off";
    disk.octets(name) = good;
  }
  EXPECT_FALSE(openFailure());
}

TEST_F(DurableStreamFiles, ReportsWhatItCutsOffOfALastCommit) {
  {
    auto store = open();
    make(*store, "a", "kept");
    add(*store, "a", "torn");
  }
  const std::string name = disk.names().at(0);
  disk.octets(name).resize(disk.octets(name).size() - 2);
  auto store = open();
  EXPECT_EQ(store->read("a", 0, 100).octets, "kept");
  EXPECT_GT(store->recovery().truncatedOctets, 0u);
  EXPECT_NE(store->recovery().truncatedFile.find(name), std::string::npos);
  add(*store, "a", "!");
  store.reset();
  EXPECT_EQ(open()->read("a", 0, 100).octets, "kept!");
}

TEST_F(DurableStreamFiles, SaysWhichSegmentIsMissing) {
  {
    auto store = open();
    make(*store, "a");
    for (int i = 0; i < 20; ++i) add(*store, "a", std::string(900, 'x'));
  }
  ASSERT_GT(disk.names().size(), 3u);
  disk.mount()->remove(disk.names().at(2));
  const auto failure = openFailure();
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->code(), ErrorCode::storeCorrupt);
  EXPECT_NE(failure->message().find("stream a lacks"), std::string::npos) << failure->what();
}

TEST_F(DurableStreamFiles, ChecksWhatItReadsFromTheDiskAgain) {
  {
    auto store = open();
    make(*store, "a", std::string(100, 'x'));
    add(*store, "a", std::string(2000, 'y'));
  }
  auto store = open();
  std::string& octets = disk.octets(disk.names().at(0));
  octets[octets.find("yyyy") + 5] = 'n';
  try {
    store->read("a", 0, 10'000);
    FAIL() << "read damaged octets";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::storeCorrupt);
    EXPECT_NE(e.message().find("offset"), std::string::npos);
  }
}

TEST_F(DurableStreamFiles, ReadsFromTheLogWhatMemoryNoLongerHolds) {
  auto store = open({.cacheBytes = 1});
  make(*store, "a");
  make(*store, "b");
  std::string whole;
  for (int i = 0; i < 200; ++i) {
    const std::string text(static_cast<std::size_t>(1 + i * 7 % 400), static_cast<char>('a' + i % 26));
    add(*store, "a", text);
    add(*store, "b", "between");
    whole += text;
    if (i == 100) {
      store->create("f", {.fork = ForkPoint{.source = "a"}}, {});
      store->commit();
    }
  }
  add(*store, "f", "own");
  EXPECT_EQ(store->read("a", 0, 1 << 20).octets, whole);
  const StreamRead fork = store->read("f", 0, 1 << 20);
  EXPECT_EQ(fork.octets, whole.substr(0, fork.octets.size() - 3) + "own");
}

TEST_F(DurableStreamFiles, GivesBackTheRoomOfWhatWasDeleted) {
  auto store = open();
  make(*store, "kept", "k");
  for (int i = 0; i < 30; ++i) {
    const std::string path = "gone" + std::to_string(i);
    make(*store, path, std::string(1500, 'x'));
    store->remove(path, {});
    store->commit();
  }
  EXPECT_GT(disk.names().size(), 10u);
  while (store->compact()) {
  }
  EXPECT_LT(disk.names().size(), 4u);
  EXPECT_EQ(store->read("kept", 0, 10).octets, "k");
  store.reset();
  store = open();
  EXPECT_EQ(store->recovery().streams, 1u);
  EXPECT_EQ(store->read("kept", 0, 10).octets, "k");
}

TEST_F(DurableStreamFiles, CompactionOfManySmallStreamsComesToAnEnd) {
  auto store = open();
  for (int i = 0; i < 300; ++i) make(*store, "s" + std::to_string(i));
  int rounds = 0;
  while (store->compact()) ASSERT_LT(++rounds, 100) << "it rewrites its own rewrites";
  EXPECT_EQ(store->size(), 300u);
}

/// A file system whose disk is full from some moment on.
class FullDisk : public FileSystem {
 public:
  FullDisk(std::unique_ptr<FileSystem> inner, const bool& full) : inner_(std::move(inner)), full_(full) {}
  void openFolder() override { inner_->openFolder(); }
  std::vector<std::string> list() override { return inner_->list(); }
  std::unique_ptr<File> open(const std::string& name, bool create) override {
    return std::make_unique<FullFile>(inner_->open(name, create), full_);
  }
  void remove(const std::string& name) override { inner_->remove(name); }
  void syncFolder() override { inner_->syncFolder(); }
  std::string pathOf(const std::string& name) const override { return inner_->pathOf(name); }

 private:
  class FullFile : public File {
   public:
    FullFile(std::unique_ptr<File> inner, const bool& full) : inner_(std::move(inner)), full_(full) {}
    std::size_t read(std::uint64_t at, char* into, std::size_t size) const override {
      return inner_->read(at, into, size);
    }
    void write(std::uint64_t at, std::string_view octets) override {
      if (full_)
        throw Error(ErrorCode::storeUnavailable, Retry::afterOperator, "cannot write: no space left on device");
      inner_->write(at, octets);
    }
    void sync() override { inner_->sync(); }
    void truncate(std::uint64_t size) override { inner_->truncate(size); }
    std::uint64_t size() const override { return inner_->size(); }

   private:
    std::unique_ptr<File> inner_;
    const bool& full_;
  };
  std::unique_ptr<FileSystem> inner_;
  const bool& full_;
};

TEST_F(DurableStreamFiles, AfterAFailedCommitEveryChangeIsRefusedAndReadsGoOn) {
  bool full = false;
  auto store = fileStreamStore({.files = std::make_unique<FullDisk>(disk.mount(), full), .ownThread = false});
  make(*store, "a", "x");
  Verdict verdict = Verdict::done;
  std::string message;
  const auto done = [&](const StreamResult& r) {
    verdict = r.verdict;
    message = r.message;
  };
  store->append("a", {.contentType = "text/plain", .body = "y"}, done);
  full = true;
  EXPECT_THROW(store->commit(), Error);
  EXPECT_EQ(verdict, Verdict::unavailable);
  EXPECT_NE(message.find("no space left"), std::string::npos);
  full = false;
  verdict = Verdict::done;
  store->append("a", {.contentType = "text/plain", .body = "z"}, done);
  EXPECT_EQ(verdict, Verdict::unavailable) << "whether y is there is not known, so z has no place";
  EXPECT_EQ(store->read("a", 0, 10).octets, "x");
  store.reset();
  EXPECT_EQ(open()->read("a", 0, 10).octets, "x");
}

class DurableStreamFolder : public ::testing::Test {
 protected:
  testing::TempFolder parent;
  std::string folder = parent.path() + "/store";
};

TEST_F(DurableStreamFolder, HasOneOwnerAtATime) {
  auto store = fileStreamStore({.folder = folder});
  try {
    fileStreamStore({.folder = folder});
    FAIL() << "opened twice";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::storeUnavailable);
    EXPECT_NE(e.message().find(folder), std::string::npos);
  }
  store.reset();
  EXPECT_NO_THROW(fileStreamStore({.folder = folder}));
}

TEST_F(DurableStreamFolder, CommitsOnItsOwnThreadForManyWriters) {
  constexpr int kWriters = 4;
  constexpr int kAppends = 200;
  {
    auto store = fileStreamStore({.folder = folder});
    std::atomic<int> answered = 0;
    store->create("a", {.contentType = "text/plain"}, {});
    std::vector<std::jthread> writers;
    for (int w = 0; w < kWriters; ++w) {
      writers.emplace_back([&] {
        for (int i = 0; i < kAppends; ++i) {
          store->append("a", {.contentType = "text/plain", .body = "0123456789"}, [&](const StreamResult& r) {
            EXPECT_EQ(r.verdict, Verdict::done);
            answered.fetch_add(1);
          });
          EXPECT_EQ(store->read("a", 0, 1 << 20).octets.size() % 10, 0u);
        }
      });
    }
    writers.clear();
    store.reset();
    EXPECT_EQ(answered.load(), kWriters * kAppends) << "closing commits what is pending";
  }
  EXPECT_EQ(fileStreamStore({.folder = folder})->head("a").next, 10u * kWriters * kAppends);
}

TEST_F(DurableStreamFolder, MayGoWithTheLastCallbackThatHoldsIt) {
  auto told = std::make_shared<std::atomic<bool>>(false);
  {
    auto store = fileStreamStore({.folder = folder});
    FileStreamStore* raw = store.get();
    raw->create("a", {.contentType = "text/plain"},
                [store = std::move(store), told](const StreamResult&) { *told = true; });
  }
  while (!*told) std::this_thread::yield();
  // Its folder is free again once it has gone.
  std::shared_ptr<FileStreamStore> again;
  while (!again) {
    try {
      again = fileStreamStore({.folder = folder});
    } catch (const Error& e) {
      ASSERT_EQ(e.code(), ErrorCode::storeUnavailable) << e.what();
      std::this_thread::yield();
    }
  }
  EXPECT_EQ(again->head("a").verdict, ReadVerdict::data);
}

TEST_F(DurableStreamFolder, RefusesOptionsThatCannotWork) {
  EXPECT_THROW(fileStreamStore({}), Error);
  EXPECT_THROW(fileStreamStore({.folder = folder, .segmentBytes = 1}), Error);
  EXPECT_THROW(fileStreamStore({.folder = "/nonexistent/x/y"}), Error);
}

}  // namespace
}  // namespace tidegate::durable_streams
