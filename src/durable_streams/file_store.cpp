#include "tidegate/durable_streams/file_store.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <condition_variable>
#include <thread>

#include "durable_streams/detail/compactor.h"
#include "durable_streams/detail/recovery.h"
#include "durable_streams/detail/store_core.h"
#include "tidegate/core/error.h"

namespace tidegate::durable_streams {

namespace {

using detail::Aftermath;
using detail::Batch;
using detail::Compactor;
using detail::Effect;
using detail::Journal;
using detail::Segment;
using detail::StoreCore;

constexpr std::size_t kLeastSegment = 4u << 10;
/// Places in a segment are 32 bits; a batch may begin just before the bound.
constexpr std::size_t kMostSegment = 1u << 30;
constexpr std::chrono::seconds kCompactIdle{1};
/// A store that is never idle gives room back too.
constexpr std::chrono::seconds kCompactBusy{10};

void checkOptions(const FileStoreOptions& options) {
  std::string problem;
  if (options.folder.empty() && !options.files) problem = "a file store needs a folder";
  if (options.segmentBytes < kLeastSegment || options.segmentBytes > kMostSegment) {
    problem = fmt::format("segmentBytes must be from {} to {}", kLeastSegment, kMostSegment);
  }
  if (options.pendingBytes > kMostSegment) problem = fmt::format("pendingBytes must be at most {}", kMostSegment);
  if (options.compactBelow < 0 || options.compactBelow > 0.9) problem = "compactBelow must be from 0 to 0.9";
  if (!problem.empty()) throw Error(ErrorCode::invalidConfig, Retry::never, problem);
}

class FileStore final : public FileStreamStore {
 public:
  explicit FileStore(FileStoreOptions options)
      : clock_(options.clock != nullptr ? *options.clock : systemClock()),
        gather_(options.gather),
        compactBelow_(options.compactBelow),
        files_(options.files ? std::move(options.files) : systemFileSystem(options.folder)),
        journal_(*files_, options.segmentBytes),
        core_({.clock = options.clock,
               .limits = options.limits,
               .cacheBytes = std::max<std::size_t>(options.cacheBytes, 1),
               .pendingBytes = options.pendingBytes},
              &journal_) {
    files_->openFolder();
    report_ = recover(journal_, core_);
    if (!options.ownThread) return;
    core_.onPending([this] { wakeCommitter(); });
    committer_ = std::jthread([this] { commitAll(); });
  }

  ~FileStore() override {
    {
      const std::lock_guard guard(core_.lock());
      stopping_ = true;
    }
    wake_.notify_all();
    if (committer_.joinable()) committer_.join();
    Aftermath aftermath;
    {
      const std::lock_guard guard(core_.lock());
      std::vector<Effect> none;
      core_.fail("the stream store was closed before this change was committed", none, aftermath);
    }
    aftermath.run();
  }

  void create(std::string_view path, CreateStream request, StreamDone done) override {
    core_.create(path, std::move(request), std::move(done));
  }
  void append(std::string_view path, AppendToStream request, StreamDone done) override {
    core_.append(path, std::move(request), std::move(done));
  }
  void remove(std::string_view path, StreamDone done) override { core_.remove(path, std::move(done)); }
  StreamRead head(std::string_view path) override { return core_.head(path); }
  StreamRead read(std::string_view path, Position from, std::size_t maxBytes) override {
    return core_.read(path, from, maxBytes);
  }
  std::uint64_t watch(std::string_view path, StreamWatch watch) override { return core_.watch(path, std::move(watch)); }
  void unwatch(std::uint64_t id) override { core_.unwatch(id); }
  std::vector<std::string> paths() override { return core_.paths(); }
  std::size_t size() override { return core_.size(); }
  void putNote(std::string_view key, std::string_view value, StreamDone done) override {
    core_.putNote(key, value, std::move(done));
  }
  std::vector<std::pair<std::string, std::string>> notes() override { return core_.notes(); }
  std::size_t sweep() override { return core_.sweep(); }

  const RecoveryReport& recovery() const override { return report_; }
  bool onCommitter() const noexcept { return committer_.get_id() == std::this_thread::get_id(); }
  bool commit() override;
  bool compact() override;
  std::pair<std::uint64_t, std::uint64_t> usage() override;

 private:
  void wakeCommitter();
  void commitAll();
  void writeBatch(Batch& batch, std::vector<Effect>& effects);

  const Clock& clock_;
  const std::chrono::microseconds gather_;
  const double compactBelow_;
  const std::unique_ptr<FileSystem> files_;
  RecoveryReport report_;
  std::mutex commitMutex_;   ///< one batch is written at a time; taken before the store's lock
  std::mutex compactMutex_;  ///< taken before `commitMutex_`
  // Under the store's lock.
  Journal journal_;
  StoreCore core_;
  std::size_t wanted_ = 1;  ///< answers that make a group worth writing
  bool stopping_ = false;
  std::condition_variable wake_;
  std::jthread committer_;  ///< last: it uses all of the above
};

void FileStore::writeBatch(Batch& batch, std::vector<Effect>& effects) {
  try {
    journal_.write(batch);
  } catch (const Error& e) {
    Aftermath aftermath;
    {
      const std::lock_guard guard(core_.lock());
      core_.fail(fmt::format("the stream store cannot commit ({}); whether this change is kept shows when the store is "
                             "opened again",
                             e.message()),
                 effects, aftermath);
    }
    aftermath.run();
    throw;
  }
}

bool FileStore::commit() {
  Aftermath aftermath;
  {
    const std::lock_guard committing(commitMutex_);
    std::vector<Effect> effects;
    std::optional<Batch> batch;
    {
      const std::lock_guard guard(core_.lock());
      if (core_.failed()) return false;
      effects = core_.takeEffects();
      if (journal_.pendingBytes() > 0) batch = journal_.takeBatch();
    }
    if (!batch && effects.empty()) return false;
    if (batch) writeBatch(*batch, effects);
    const std::lock_guard guard(core_.lock());
    wanted_ = std::max<std::size_t>(effects.size(), 1);
    core_.publish(effects, batch ? batch->commit : 0, aftermath);
  }
  aftermath.run();
  return true;
}

void FileStore::wakeCommitter() {
  const std::size_t waiting = core_.waiting();
  if (waiting <= 1 || waiting == wanted_) wake_.notify_one();
}

void FileStore::commitAll() {
  std::unique_lock lock(core_.lock());
  const auto some = [&] { return !core_.failed() && (core_.waiting() > 0 || journal_.pendingBytes() > 0); };
  Clock::Micros compacted = clock_.steadyNow();
  while (true) {
    const bool work = wake_.wait_for(lock, kCompactIdle, [&] { return stopping_ || some(); });
    if (stopping_ && !some()) return;
    // Those who were answered together write again together: waiting for them saves a sync.
    if (work && wanted_ > 1 && !stopping_) {
      wake_.wait_for(lock, gather_, [&] { return stopping_ || core_.waiting() >= wanted_; });
    }
    lock.unlock();
    try {
      if (work) commit();
      if (!work || clock_.steadyNow() - compacted >= kCompactBusy) {
        compact();
        compacted = clock_.steadyNow();
      }
    } catch (const std::exception& e) {
      spdlog::error("durable streams: {}", e.what());
    }
    lock.lock();
  }
}

bool FileStore::compact() {
  const std::lock_guard compacting(compactMutex_);
  std::shared_ptr<Segment> segment;
  {
    // No batch is under way, so whatever lies before the one that is being filled is written.
    const std::lock_guard committing(commitMutex_);
    const std::lock_guard guard(core_.lock());
    if (!core_.failed()) segment = Compactor::victim(journal_, compactBelow_);
  }
  if (!segment) return false;
  Compactor(core_, journal_, [this] { commit(); }).run(segment);
  const std::lock_guard committing(commitMutex_);
  {
    const std::lock_guard guard(core_.lock());
    if (core_.failed()) return false;
    journal_.segments().erase(segment->number);
  }
  files_->remove(detail::segmentName(segment->number));
  files_->syncFolder();
  return true;
}

std::pair<std::uint64_t, std::uint64_t> FileStore::usage() {
  const std::lock_guard guard(core_.lock());
  std::pair<std::uint64_t, std::uint64_t> sum{0, 0};
  for (const auto& [number, segment] : journal_.segments()) {
    sum.first += segment->total;
    sum.second += segment->live;
  }
  return sum;
}

}  // namespace

std::shared_ptr<FileStreamStore> fileStreamStore(FileStoreOptions options) {
  checkOptions(options);
  return std::shared_ptr<FileStore>(new FileStore(std::move(options)), [](FileStore* store) {
    // The last owner may be a callback that the committer calls; a thread cannot wait for its own end.
    if (store->onCommitter()) {
      std::thread([store] { delete store; }).detach();
    } else {
      delete store;
    }
  });
}

}  // namespace tidegate::durable_streams
