/// The idempotent producer as a machine: what to send next, and what an answer means. No connections, no time of its
/// own.
///
/// Invariants:
/// - Batches are numbered 0, 1, 2… within an epoch, and sent in that order. One that must be sent again holds back all
///   that follow and are not under way, so a gap closes as soon as it can.
/// - Until an epoch's first batch is acknowledged, one alone is under way: a server that does not know the epoch yet
///   takes nothing but sequence 0.
/// - An epoch is claimed only once nothing is under way, and never while a batch may have been appended without our
///   knowing: it would be appended again under the new epoch.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "durable_streams/detail/client_failure.h"
#include "durable_streams/detail/retry_plan.h"
#include "tidegate/durable_streams/producer.h"

namespace tidegate::durable_streams::detail {

/// A request to make.
struct ProducerSend {
  std::uint64_t batch = 0;  ///< names it in `answered` and `failed`
  std::uint64_t epoch = 0;
  std::uint64_t seq = 0;
  bool closes = false;
  std::string body{};
};

/// @thread One at a time.
class ProducerCore {
 public:
  using Micros = Clock::Micros;

  /// @throws Error{invalidConfig}.
  /// @param now the wall clock, for an epoch where none is given.
  ProducerCore(ProducerOptions options, RetryPlan plan, std::string url, Micros now);

  /// Messages are JSON documents, checked by the caller.
  void setJson(bool json) noexcept { json_ = json; }
  bool hasRoomFor(std::size_t bytes) const noexcept;
  std::uint64_t add(std::string_view message, Micros now);
  /// The stream's end, behind everything; at most once.
  void addClose(std::optional<std::string_view> last);
  /// Small batches wait for no company while this is set.
  void setFlushing(bool flushing) noexcept { flushing_ = flushing; }

  /// What may be sent now; to be asked until it is empty.
  std::optional<ProducerSend> nextSend(Micros now);
  /// When `nextSend` has something without any answer coming in between.
  std::optional<Micros> wakeAt() const;
  void answered(std::uint64_t batch, const http::Response& answer, Micros now);
  void failed(std::uint64_t batch, const Error& why, Micros now);

  /// Everything that was added is acknowledged.
  bool idle() const noexcept { return batches_.empty(); }
  std::size_t inFlight() const noexcept { return stats_.inFlight; }
  /// Why nothing is sent any more; whole once nothing is under way. outcomeUnknown where a batch may have been
  /// appended.
  std::optional<StreamError> finalFailure() const;
  /// A batch's retries are used up: told once, after which it is tried again.
  std::optional<StreamError> takeFailure();
  std::vector<Receipt> takeReceipts() { return std::exchange(receipts_, {}); }
  std::vector<std::string> unacknowledged() const;
  std::uint64_t epoch() const noexcept { return epoch_; }
  const ProducerStats& stats() const noexcept { return stats_; }
  const ProducerOptions& options() const noexcept { return options_; }

 private:
  struct OutBatch {
    std::uint64_t id = 0;
    std::uint64_t first = 0;  ///< its first message's number
    std::uint64_t seq = 0;    ///< once sealed
    std::string body{};
    std::vector<std::pair<std::size_t, std::size_t>> messages{};  ///< begin and length in `body`
    std::size_t bytes = 0;                                        ///< of messages
    Micros opened{0};
    Micros notBefore{0};
    unsigned sends = 0;     ///< in this epoch
    unsigned failures = 0;  ///< in a row
    bool sealed = false;
    bool closes = false;
    bool inFlight = false;
    bool sentAsFront = false;   ///< nothing before it was open when it was sent last
    bool awaitsFront = false;   ///< arrived too early: again once nothing is before it
    bool maybeApplied = false;  ///< an earlier sending was not answered
    std::optional<Receipt> receipt{};
  };

  OutBatch& openBatch(Micros now);
  void seal(OutBatch& batch);
  bool isDue(const OutBatch& batch, Micros now) const;
  bool isFront(const OutBatch& batch) const { return &batch == &batches_.front(); }
  OutBatch* find(std::uint64_t id);
  ProducerSend send(OutBatch& batch);
  void acknowledge(OutBatch& batch, const http::Response& answer);
  void releaseFront();
  void refused(OutBatch& batch, const http::Response& answer, Micros now);
  void gap(OutBatch& batch, const StreamError& error);
  void fenced(const StreamError& error);
  bool isForeign(const http::Response& answer) const;
  void foreign(const OutBatch& batch, const http::Response& answer);
  void retryLater(OutBatch& batch, const StreamError& error, const http::Response* answer, Micros now);
  bool mayClaim() const;
  bool anyMaybeApplied() const;
  void claimIfQuiet();
  void endWith(const StreamError& error);
  Asked asked() const { return {.method = "POST", .url = url_, .changes = true, .repeatable = true}; }

  ProducerOptions options_;
  Claim claimMode_;
  RetryPlan plan_;
  std::string url_;
  bool json_ = false;
  bool flushing_ = false;
  bool established_ = false;  ///< the epoch's first batch is acknowledged
  bool everEstablished_ = false;
  std::uint64_t clockEpoch_;  ///< the wall clock's microseconds at the start
  std::uint64_t epoch_;
  std::uint64_t nextSeq_ = 0;
  std::uint64_t highestSent_ = 0;  ///< sequence, in this epoch
  std::uint64_t nextBatch_ = 0;
  std::uint64_t nextMessage_ = 0;
  std::deque<OutBatch> batches_;        ///< not acknowledged; only the last may be unsealed
  std::optional<std::uint64_t> claim_;  ///< the epoch to take once nothing is under way
  std::optional<StreamError> claimCause_;
  std::optional<StreamError> final_;
  std::optional<StreamError> passing_;
  std::vector<Receipt> receipts_;
  ProducerStats stats_;
};

}  // namespace tidegate::durable_streams::detail
