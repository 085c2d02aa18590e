#include "tidegate/engine/verify.h"

namespace tidegate {

bool VerifyReport::ok() const noexcept { return differences() == 0; }

std::uint64_t VerifyReport::differences() const noexcept {
  std::uint64_t sum = 0;
  for (const TableVerification& table : tables) sum += table.differenceCount;
  return sum;
}

namespace {

const char* nameOf(DifferenceKind kind) {
  switch (kind) {
    case DifferenceKind::missingInSink:
      return "missing in the sink";
    case DifferenceKind::extraInSink:
      return "only in the sink";
    case DifferenceKind::differs:
      return "differs";
  }
  return "?";
}

}  // namespace

std::string toText(const VerifyReport& report) {
  std::string text;
  for (const TableVerification& table : report.tables) {
    text += table.pipeline + ": " + table.table + " -> " + table.target + ": " + std::to_string(table.sourceRows) +
            " rows in the source, " + std::to_string(table.sinkRows) + " in the sink, " +
            std::to_string(table.differenceCount) + " differences\n";
    for (const Difference& difference : table.differences) {
      text += "  " + difference.key + ": " + nameOf(difference.kind);
      if (!difference.detail.empty()) text += ": " + difference.detail;
      text += difference.repaired ? " (repaired)\n" : "\n";
    }
  }
  return text;
}

}  // namespace tidegate
