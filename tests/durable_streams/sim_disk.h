/// A disk that crashes: it tears writes into sectors, loses what was not synced, and forgets names whose folder was
/// not.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "support/property.h"
#include "tidegate/durable_streams/file_system.h"

namespace tidegate::durable_streams::testing {

/// Thrown where the machine stops; nothing of the product catches it.
struct PowerLoss {};

/// What is on the disk, and what is only on its way there. Outlives the processes that use it.
class SimDisk {
 public:
  explicit SimDisk(test::Random& random) : random_(random) {}

  /// The folder as a new process sees it.
  std::unique_ptr<FileSystem> mount();
  /// The n-th operation from now on does not return. 0: none.
  void loseThePowerAt(std::uint64_t operation) { left_ = operation; }
  bool lost() const noexcept { return lost_; }
  /// After a power loss, or instead of one: what was not synced is there, or not, or in part.
  void restart();
  /// Operations so far: places where the power may be lost.
  std::uint64_t operations() const noexcept { return operations_; }

  std::vector<std::string> names() const;
  std::string& octets(const std::string& name) { return now_.at(name)->now; }

 private:
  friend class SimFile;
  friend class SimFileSystem;
  struct Write {
    std::uint64_t at = 0;
    std::string octets{};
    bool truncate = false;
  };
  struct Content {
    std::string now{};
    std::string synced{};
    std::vector<Write> since{};
  };
  using Folder = std::map<std::string, std::shared_ptr<Content>>;

  /// @return false where the power goes in the middle of this operation.
  bool step();
  static void apply(std::string& octets, const Write& write);
  std::string survivor(const Content& content);

  test::Random& random_;
  Folder now_;
  Folder synced_;
  std::uint64_t left_ = 0;
  std::uint64_t operations_ = 0;
  bool lost_ = false;
};

}  // namespace tidegate::durable_streams::testing
