/// Reads all shards of a stream beside each other on one thread: parents before children, each shard at its own pace,
/// with its own failures.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "kinesis/detail/kinesis_api.h"
#include "tidegate/source/backoff.h"

namespace tidegate::kinesis::detail {

struct ShardReaderOptions {
  std::chrono::milliseconds readInterval{200};
  std::uint32_t recordsPerRead = 10'000;
  BackoffOptions backoff{};
  std::chrono::milliseconds progressInterval{60'000};
  std::uint64_t jitterSeed = 0;
  bool leased = false;  ///< only what `take` is told is read
};

/// One shard that is read.
struct ReadShard {
  enum class Phase {
    parents,   ///< waits until its parents are read to their end
    place,     ///< needs an iterator
    asking,    ///< a request is under way
    reading,   ///< has an iterator, and is read again when it is due
    answered,  ///< has records that nobody took yet
    ended      ///< was closed, and all of it was taken: what follows it must be found
  };
  explicit ReadShard(ShardInfo of, const ShardReaderOptions& options)
      : info(std::move(of)),
        backoff(options.backoff, options.jitterSeed),
        // Throttling is no failure: it is waited out.
        slower({options.backoff.firstDelay, options.backoff.maxDelay, UINT32_MAX}, options.jitterSeed) {}

  ShardInfo info;
  Phase phase = Phase::parents;
  std::string iterator{};
  Clock::Micros due{0};          ///< steady time of the next request
  std::int64_t askedMillis = 0;  ///< wall time of the last request
  Backoff backoff;
  Backoff slower;
  bool failing = false;
  bool dropped = false;          ///< nobody wants its answers any more
  bool unverified = false;       ///< the first record must be the one that the place is after
  std::uint32_t partsTaken = 0;  ///< of the first record
  double recordsPerMilli = 0;    ///< as they arrived, in the last answer that had any
  RecordsAnswer answer{};
};

/// @thread One at a time.
class ShardReader {
 public:
  /// `place` is where each shard is; whoever takes records moves it on. All must outlive this, and `client` is not run
  /// any more once this is gone.
  ShardReader(KinesisApi& api, http::Client& client, ShardReaderOptions options, const Clock& clock, StreamPlace& place,
              std::function<void(const std::string&)> warn);

  /// Lists the shards and fits them to the place. @throws Error{positionLost} where the stream no longer has what
  /// follows; others as AwsService::call.
  void begin(const std::stop_token& stop);
  /// Moves on for up to `wait`. @return a shard whose answer is to be taken, or null.
  /// @throws Error: a shard that cannot be read, by its name.
  ReadShard* next(std::chrono::milliseconds wait, const std::stop_token& stop);
  /// Its answer was taken, and the place says so. @return whether the place moved on by itself: the shard was read to
  /// its end and its children follow, or nothing was there to be read for a while.
  bool taken(ReadShard& shard);
  /// Whether every shard that is read has failed at its last try.
  bool failing() const;
  /// The one furthest behind; none before each has answered once.
  std::optional<std::chrono::milliseconds> behind() const;
  /// Records that were not taken yet: those that were read, and for the time that Kinesis says lies between them and
  /// the shard's end as many as came in such a time before. None before each shard has answered once.
  std::optional<std::uint64_t> recordsBehind() const;
  /// Shards that have ended and whose children are not known yet are looked after here. @return whether the place
  /// moved.
  bool finishEnded(const std::stop_token& stop);

  /// Leased: begins to read a shard from its place. @throws as AwsService::call, where it must be looked up.
  void take(const std::string& shard, const std::stop_token& stop);
  /// Leased: reads a shard no more. What was read of it and not taken is forgotten.
  void drop(const std::string& shard);
  bool reads(const std::string& shard) const { return shards_.contains(shard); }
  std::vector<std::string> reading() const;

 private:
  using Phase = ReadShard::Phase;
  void reconcile(const std::vector<ShardInfo>& listed);
  std::vector<ShardInfo> listShards(const std::stop_token& stop);
  void refuseLost(const std::vector<ShardInfo>& listed) const;
  void follow(const ShardInfo& shard);
  bool parentsDone(const ShardInfo& shard) const;
  void startDue(const std::stop_token& stop);
  void ask(ReadShard& shard, const std::stop_token& stop);
  void onIterator(ReadShard& shard, const http::Outcome& outcome);
  void onRecords(ReadShard& shard, const http::Outcome& outcome);
  static void measure(ReadShard& shard);
  void verify(ReadShard& shard);
  void onTrimmed(const ReadShard& shard);
  void fail(ReadShard& shard, const Error& error);
  void failAnswered(ReadShard& shard, const AwsError& error);
  void succeed(ReadShard& shard);
  std::chrono::milliseconds untilDue(std::chrono::milliseconds most) const;
  std::string nameOf(const ReadShard& shard) const;
  std::int64_t nowMillis() const;

  KinesisApi& api_;
  http::Client& client_;
  const ShardReaderOptions options_;
  const Clock& clock_;
  StreamPlace& place_;
  const std::function<void(const std::string&)> warn_;
  std::chrono::hours retention_{24};
  std::map<std::string, std::unique_ptr<ReadShard>> shards_;
  std::vector<std::unique_ptr<ReadShard>> dropped_;  ///< while a request of theirs may be under way
  std::map<std::string, ShardInfo> infos_;           ///< as last listed
  std::string lastTaken_;
  std::optional<Error> fatal_;
};

}  // namespace tidegate::kinesis::detail
