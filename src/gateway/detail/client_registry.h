/// Which clients pull, how far they are and what they see (decision 2).
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace tidegate::detail {

/// One client as the gateway knows it.
struct KnownClient {
  std::uint64_t pulledTo = 0;      ///< serverHlc it last asked from: what it holds
  std::int64_t lastSeenMs = 0;     ///< wall clock
  std::string view;                ///< fingerprint
  std::uint64_t resyncBefore = 0;  ///< its view changed at this serverHlc
  /// It was told to resync, and nothing shows yet that it did: the answer may have been lost, and where it stands may
  /// be the very head.
  bool owesSnapshot = false;
  bool operator==(const KnownClient&) const = default;
};

/// @thread Any.
class ClientRegistry {
 public:
  struct Settings {
    std::size_t maxClients = 0;
    std::int64_t retentionMs = 0;
  };
  explicit ClientRegistry(Settings settings) : settings_(settings) {}

  struct Pull {
    std::string_view clientId;
    std::uint64_t since = 0;
    std::string_view view;
    std::uint64_t head = 0;
    std::uint64_t tombstonesPurgedTo = 0;
    std::int64_t nowMs = 0;
    /// A client that is not known is served only if it holds nothing yet or a noted snapshot: its view may have changed
    /// unseen.
    bool underRules = false;
    bool fromNow = false;  ///< it asks for what is new only, whatever it holds
  };
  /// Notes a pull. @return why the client must resync, or nullopt.
  std::optional<std::string> notePull(const Pull& pull);

  /// What a pull comes to.
  struct Judgement {
    std::optional<std::string> resync;
    std::optional<KnownClient> news;  ///< what other gateways must know before it is answered
  };
  /// Judges a pull and notes nothing.
  Judgement judge(const Pull& pull) const;
  /// Takes what another gateway, or this one, shared of a client.
  void learn(std::string_view clientId, KnownClient client);
  /// Notes a snapshot taken at `head`.
  void noteSnapshot(std::string_view clientId, std::uint64_t head, std::string_view view, std::int64_t nowMs,
                    bool underRules = false);
  /// Notes that a snapshot of the view was taken at this stamp; the newest are kept, in memory.
  void noteSnapshot(std::string_view view, std::uint64_t head);
  bool forget(std::string_view clientId);
  /// What the client holds; nullopt for one that is not known.
  std::optional<std::uint64_t> pulledTo(std::string_view clientId) const;
  /// Forgets clients silent for longer than the retention. @return the least pulledTo of the others; nullopt if none.
  std::optional<std::uint64_t> leastPulledTo(std::int64_t nowMs);
  std::size_t count(std::int64_t nowMs) const;
  std::size_t bytes() const;

  /// The entries as octets, if any changed enough since the last call to be worth writing: new clients, other views, or
  /// a while gone by.
  std::optional<std::string> encodeIfDue(std::int64_t nowMs);
  /// All entries as octets.
  std::string encode() const;
  /// The snapshots noted, oldest first, as octets; and back.
  std::string encodeSnapshots() const;
  void decodeSnapshots(std::string_view octets);
  /// Puts back what `encode` or `encodeIfDue` gave.
  void decode(std::string_view octets);
  /// The write of the last `encodeIfDue` failed.
  void markUnsaved();

 private:
  bool expired(const KnownClient& client, std::int64_t nowMs) const {
    return client.lastSeenMs < nowMs - settings_.retentionMs;
  }
  bool tookSnapshot(std::string_view view, std::uint64_t head) const;
  /// Whether it stands on a snapshot of another view; no two views have one at the same stamp.
  bool tookOther(const Pull& pull) const;
  /// @param client as it was, and as the pull leaves it. @return why it must resync.
  std::optional<std::string> judgeLocked(const Pull& pull, bool known, KnownClient& client) const;
  std::string encodeLocked() const;
  KnownClient& entry(std::string_view clientId, std::int64_t nowMs, bool& known);

  const Settings settings_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, KnownClient> clients_;         ///< guarded by mutex_
  std::deque<std::pair<std::uint64_t, std::string>> snapshots_;  ///< guarded by mutex_: (stamp, view)
  bool changed_ = false;                                         ///< a client came, went or has another view
  bool moved_ = false;                                           ///< some pulledTo or lastSeen moved
  std::int64_t savedMs_ = 0;
};

}  // namespace tidegate::detail
