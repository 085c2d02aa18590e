/// Transactions that the server sends while they still run: kept as the octets they came in, in memory and behind a
/// bound in files, until they commit or are undone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace tidegate::postgres::detail {

struct SpillOptions {
  std::size_t memoryBytes = 64u << 20;  ///< of all transactions together
  std::string directory{};              ///< for files, which have no name there; empty: TMPDIR, else /tmp
};

/// A file that nobody else can open, and that is gone with its descriptor.
class SpillFile {
 public:
  /// @throws Error{storeUnavailable}
  explicit SpillFile(const std::string& directory);
  ~SpillFile();
  SpillFile(const SpillFile&) = delete;
  SpillFile& operator=(const SpillFile&) = delete;
  /// @throws Error{storeUnavailable} naming the folder, e.g. when its disk is full.
  void append(std::string_view octets);
  /// Fills `out` from `at` on as far as there is something. @return octets read.
  std::size_t read(std::uint64_t at, char* out, std::size_t size) const;
  std::uint64_t size() const noexcept { return size_; }

 private:
  std::string directory_;
  int fd_;
  std::uint64_t size_ = 0;
};

/// @thread One at a time.
class TransactionSpill {
 public:
  explicit TransactionSpill(SpillOptions options) : options_(std::move(options)) {}

  /// Adds a message of a running transaction.
  /// @param xid of the transaction. @param subXid of who did it: itself or a subtransaction.
  /// @throws Error{storeUnavailable}
  void append(std::uint32_t xid, std::uint32_t subXid, std::string_view octets);
  /// A subtransaction was undone, or with `subXid == xid` the whole: its messages are forgotten.
  void abort(std::uint32_t xid, std::uint32_t subXid);
  /// Visits what is left of a transaction in the order it came. The octets hold for the call.
  void replay(std::uint32_t xid, const std::function<void(std::string_view octets)>& visit) const;
  void forget(std::uint32_t xid);
  /// Forgets all: the server sends them again on a new connection.
  void clear();

  std::size_t transactions() const noexcept { return running_.size(); }
  std::size_t bytesInMemory() const noexcept { return bytesInMemory_; }
  std::uint64_t bytesInFiles() const noexcept;

 private:
  struct Running {
    std::string memory{};  ///< what came after the file's content
    std::unique_ptr<SpillFile> file{};
    std::unordered_set<std::uint32_t> undone{};
  };
  void spillLargest();

  SpillOptions options_;
  std::map<std::uint32_t, Running> running_;
  std::size_t bytesInMemory_ = 0;
};

}  // namespace tidegate::postgres::detail
