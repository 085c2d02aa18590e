/// One log that several gateways share: each stages pushes against what it has applied and appends the outcome; the
/// log takes an entry only if nobody else came first (docs/cluster.md, decision 29).
///
///     MemorySharedLog log;                                             // or a driver's, e.g. NATS JetStream's
///     Gateway north({.sharedLog = log.another()});
///     Gateway south({.sharedLog = log.another()});
///     north.handlePush(push);                                          // south shows it too
///
/// Whoever writes a driver keeps these promises; tests/contract/shared_log_contract.h checks them:
/// - Entries are in one total order, the same for every reader, and an entry that was acknowledged is never lost.
/// - Sequences grow; gaps are allowed. 0 stands before the first entry.
/// - `append` is a compare-and-append: at most one entry ever follows a given one.
///
/// Origin: optimistic appends to a shared log, as in Hyder (Bernstein, Reid and Das, 2011) and Tango (Balakrishnan et
/// al., 2013).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace tidegate {

/// A gateway's end of the shared log: one object per gateway.
/// @thread `append`, `read`, `readSnapshot` and `trim`: one at a time (the gateway sees to it). `putSnapshot` takes
/// long
///         and runs beside them, one at a time too. A wake comes from any thread, at any time.
class SharedLog {
 public:
  virtual ~SharedLog() = default;

  /// Appends `octets` as the entry after `last`. A quorum holds it when this returns.
  /// @param last the sequence that `read` or `append` gave last; 0: the log has no entry yet, and never had one.
  /// @param octets 1 octet or more; a driver that cannot store them as one message splits them, unseen by readers.
  /// @return its sequence; nullopt if the log's last entry is another one: then nothing was written, nor will be.
  /// @throws Error{storeUnavailable, Retry::later}: nothing was written, nor will be;
  ///         Error{storeUnavailable, Retry::outcomeUnknown}: it may have been, or may be yet. The gateway reads to see.
  virtual std::optional<std::uint64_t> append(std::uint64_t last, std::string_view octets) = 0;

  using Visitor = std::function<void(std::uint64_t sequence, std::string_view octets)>;
  /// Visits the entries after `after` in order, up to the last that the quorum had when the call began at least. What
  /// the visitor throws is thrown. @return the sequence of the last entry visited; `after` if there was none.
  /// @throws Error{positionLost} if entries after `after` were trimmed: start from a snapshot;
  ///         Error{storeUnavailable, Retry::later}.
  virtual std::uint64_t read(std::uint64_t after, const Visitor& visit) = 0;

  /// `wake` is called, from any thread and with no lock held that a call to this object may need, when there may be
  /// entries that others wrote; calls that come close together may be made one. An empty function ends that: no call
  /// is under way or begins once this has returned.
  virtual void onEntries(std::function<void()> wake) = 0;

  /// Called by the gateway after an `append` that succeeded, outside of its locks. For logs whose readers live in this
  /// process and are woken by the writer. Does nothing by default.
  virtual void appended() {}

  /// Stores a snapshot of the state as of `sequence`: chunks of at most 1 MiB or so, until `next` returns false. Seen
  /// whole or not at all, what `next` throws is thrown and nothing is kept. An older snapshot may go.
  /// @throws Error{storeUnavailable}
  virtual void putSnapshot(std::uint64_t sequence, const std::function<bool(std::string& chunk)>& next) = 0;

  /// Visits the newest whole snapshot's chunks in order. @return its sequence; nullopt where there is none.
  /// @throws Error{storeUnavailable, Retry::later}; what `chunk` throws is thrown.
  virtual std::optional<std::uint64_t> readSnapshot(const std::function<void(std::string_view chunk)>& chunk) = 0;

  /// Lets go of the entries up to `sequence`, which a stored snapshot covers. @throws Error{storeUnavailable}
  virtual void trim(std::uint64_t sequence) = 0;
};

/// A shared log in this process's memory: for tests, simulations, and hosts that run several gateways in one process.
/// @thread As SharedLog, each end by itself; `another` from any.
class MemorySharedLog final : public SharedLog {
 public:
  struct Entries;

  MemorySharedLog();
  ~MemorySharedLog() override;
  MemorySharedLog(const MemorySharedLog&) = delete;
  MemorySharedLog& operator=(const MemorySharedLog&) = delete;

  /// Another end of the same log, for another gateway.
  std::shared_ptr<MemorySharedLog> another() const;

  std::optional<std::uint64_t> append(std::uint64_t last, std::string_view octets) override;
  std::uint64_t read(std::uint64_t after, const Visitor& visit) override;
  void onEntries(std::function<void()> wake) override;
  /// Calls the wakes of the other ends, on this thread.
  void appended() override;
  void putSnapshot(std::uint64_t sequence, const std::function<bool(std::string& chunk)>& next) override;
  std::optional<std::uint64_t> readSnapshot(const std::function<void(std::string_view chunk)>& chunk) override;
  void trim(std::uint64_t sequence) override;

  /// Octets of all entries and of the snapshot.
  std::size_t bytes() const;

 private:
  explicit MemorySharedLog(std::shared_ptr<Entries> entries);

  const std::shared_ptr<Entries> entries_;
};

}  // namespace tidegate
