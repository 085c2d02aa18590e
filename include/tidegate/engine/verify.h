/// Comparing what a source holds with what a sink holds.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace tidegate {

struct VerifyOptions {
  std::vector<std::string> pipelines{};  ///< empty: all
  std::size_t chunks = 1'024;            ///< checksums per table; a chunk that differs is compared key by key
  std::size_t maxDifferences = 1'000;    ///< reported per table
  /// Differences that vanish when looked at again (changes under way) are not reported.
  std::uint32_t rechecks = 5;
  std::chrono::milliseconds recheckDelay{500};
  bool repair = false;  ///< write what the source holds for each differing key
};

enum class DifferenceKind { missingInSink, extraInSink, differs };

/// One row that is not the same.
struct Difference {
  std::string key{};  ///< for people
  DifferenceKind kind = DifferenceKind::differs;
  std::string detail{};  ///< the first column that differs, with both values
  bool repaired = false;
};

struct TableVerification {
  std::string pipeline{}, table{}, target{};
  std::uint64_t sourceRows = 0, sinkRows = 0;  ///< after filters
  std::uint64_t chunksCompared = 0, chunksDiffering = 0;
  std::uint64_t differenceCount = 0;
  std::vector<Difference> differences{};
};

struct VerifyReport {
  std::vector<TableVerification> tables{};
  bool ok() const noexcept;
  std::uint64_t differences() const noexcept;
};

/// One line a table, and one a difference.
std::string toText(const VerifyReport& report);

}  // namespace tidegate
