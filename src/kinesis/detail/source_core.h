/// What kinesis::source does, behind SyncSource's face.
#pragma once

#include <atomic>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "kinesis/detail/baseline.h"
#include "kinesis/detail/kinesis_api.h"
#include "kinesis/detail/lease_keeper.h"
#include "kinesis/detail/place.h"
#include "kinesis/detail/shard_reader.h"
#include "tidegate/kinesis/source.h"

namespace tidegate::kinesis::detail {

/// What the handler threw, on its way through this source.
struct ReaderFailed {
  std::exception_ptr why;
};

/// A shard went to another worker while its events waited to be taken.
struct LeaseLost {};

/// @thread As SyncSource.
class SourceCore {
 public:
  explicit SourceCore(SourceOptions options);

  void init(const SourceContext& context);
  std::vector<TableIssue> issuesOf(const std::vector<std::string>& tables);
  Shape describe(const std::string& table);
  Position baseline(const std::vector<std::string>& tables, const ChangeHandler& handler, const std::stop_token& stop);
  void stream(const std::vector<std::string>& tables, const Position& from, const ChangeHandler& handler,
              const std::stop_token& stop);
  void ack(const Position& position);
  Position lastAcked() const;
  void setPaused(bool paused);
  SourceState state() const { return state_.state(); }
  SourceLag lag() const;
  void close();

 private:
  /// One run of `stream`.
  struct Streaming {
    const ChangeHandler& handler;
    const std::stop_token& stop;
    StreamPlace place{};
    http::Client client;
    RecordMapper mapper;
    PlaceWriter writer{};
    ChangeBatch batch{};
    Position told{};                 ///< of the last change
    ShardPlace taken{};              ///< of the shard that is delivered: what the reader took of it
    std::uint64_t leasesSeen = 0;    ///< version of the leases that the shards fit to
    std::set<std::string> warned{};  ///< shards whose parts were left out
  };
  /// What a baseline is made of.
  struct Plan {
    Catalogue catalogue{};
    std::vector<TableObjects> tables{};
    StreamPlace start{};
  };

  void requireOpen();
  void makeServices();
  const Catalogue& freshCatalogue(http::Client& client, const std::stop_token& stop);
  http::ClientOptions clientOptions() const;

  Plan planOf(http::Client& client, const std::vector<std::string>& tables, const std::stop_token& stop);
  StreamPlace startOf(http::Client& client, const Plan& plan, const std::stop_token& stop);
  bool readTables(http::Client& client, const Plan& plan, const ChangeHandler& handler, const std::stop_token& stop);
  bool border(ChangeOp op, const Shape& shape, const Position& position, const ChangeHandler& handler,
              const std::stop_token& stop);

  void follow(Streaming& streaming);
  bool begin(Streaming& streaming, ShardReader& reader);
  bool step(Streaming& streaming, ShardReader& reader);
  bool deliver(Streaming& streaming, ReadShard& shard);
  bool deliverRecord(Streaming& streaming, const ReadShard& shard, const StreamRecord& record, std::uint32_t from);
  void deliverOne(Streaming& streaming, const ReadShard& shard, std::string_view data, const ShardPlace& next);
  void malformed(const ReadShard& shard, std::string_view data, const ShardPlace& at, const Error& why);
  bool flush(Streaming& streaming, const ReadShard* shard = nullptr);
  bool tellProgress(Streaming& streaming);
  void showFailing(bool failing);

  bool waitWhilePaused(SourceState back, const std::stop_token& stop);
  /// @param shard whose lease the events stand under; null: none. @throws LeaseLost, ReaderFailed
  bool offer(ChangeBatch& batch, const ChangeHandler& handler, SourceState state, const std::stop_token& stop,
             const std::string* shard = nullptr);
  StreamPlace ackedPlace() const;
  void settleLeases(Streaming& streaming, ShardReader& reader);
  void tendLeases(Streaming& streaming, ShardReader& reader);
  void followLeases(Streaming& streaming, ShardReader& reader);
  void loseLeases();
  void noteLag(const ShardReader& reader);
  void saveAcked(bool now);

  const SourceOptions options_;
  SourceContext context_;
  const Clock* clock_;
  Scheduler* scheduler_;
  SourceStateMachine state_;
  std::optional<KinesisApi> api_;
  std::optional<ObjectStore> store_;
  std::optional<Snapshots> snapshots_;
  Catalogue catalogue_;
  std::optional<LeaseKeeper> leases_;

  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  bool paused_ = false;  ///< guarded by mutex_, as all below
  Position acked_{};
  Position saved_{};
  Clock::Micros savedAt_{0};
  SourceLag lag_{};
};

}  // namespace tidegate::kinesis::detail
