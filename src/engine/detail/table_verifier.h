/// Compares one table of a pipeline: sums of row hashes in chunks by key first, then the keys of chunks that differ,
/// then those keys again and again, since changes may be under way.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "engine/detail/row_digest.h"
#include "engine/detail/table_plan.h"
#include "tidegate/core/clock.h"
#include "tidegate/engine/verify.h"
#include "tidegate/sink/sink.h"
#include "tidegate/source/sync_source.h"

namespace tidegate::detail {

/// @thread One at a time.
class TableVerifier {
 public:
  using Values = std::vector<Value>;
  struct Parts {
    SyncSource& source;
    Sink& sink;
    const Clock& clock;
    Scheduler& scheduler;
    Plan plan;
    /// Runs something while the sink is not in use otherwise.
    std::function<void(std::function<void()>)> withSink{};
    /// Applies changes to the sink; called where the sink may be used.
    std::function<void(const ChangeBatch&)> apply{};
    Position position{};  ///< of those changes
  };
  TableVerifier(Parts parts, const VerifyOptions& options);

  TableVerification run();

 private:
  struct Key {
    std::uint64_t low = 0, high = 0;
    auto operator<=>(const Key&) const = default;
  };
  struct Chunk {
    std::uint64_t rows = 0, sum = 0;
    bool operator==(const Chunk&) const = default;
  };
  /// All rows of a key: one, unless the table has no key.
  struct Entry {
    Key key{};
    std::uint64_t rows = 0, sum = 0;
  };
  struct Side {
    std::uint64_t rows = 0, sum = 0;
    Values row{};
    bool operator==(const Side& other) const { return rows == other.rows && sum == other.sum; }
  };
  struct Pair {
    Side source, sink;
  };
  using Visitor = std::function<void(const Key& key, std::uint64_t rowHash, const Values& row)>;
  using Candidates = std::map<Key, Pair>;

  void readSource(const Visitor& visit);
  void readSink(const Visitor& visit);
  std::size_t chunkOf(const Key& key) const { return static_cast<std::size_t>(key.low % options_.chunks); }
  std::vector<Chunk> sums(const std::function<void(const Visitor&)>& read, std::uint64_t& rows);
  void compareChunks(const std::vector<bool>& differing);
  std::vector<Entry> entries(const std::function<void(const Visitor&)>& read, const std::vector<bool>& chunks);
  void look();
  void repair();
  void report();
  Difference differenceOf(const Pair& pair) const;

  const Parts parts_;
  const VerifyOptions& options_;
  RowDigest digest_;
  std::optional<std::size_t> ttlColumn_{};  ///< of the target
  Candidates candidates_{};
  std::uint64_t unlisted_ = 0;  ///< differing keys past what is kept
  std::map<Key, bool> repaired_{};
  TableVerification result_{};
};

}  // namespace tidegate::detail
