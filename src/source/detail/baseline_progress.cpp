#include "source/detail/baseline_progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "tidegate/core/error.h"

namespace tidegate::detail {
namespace {

constexpr std::size_t kMaxPending = 0xFFFF;

void putBig(std::uint64_t number, unsigned octets, std::string& out) {
  for (unsigned i = octets; i-- > 0;) out.push_back(static_cast<char>(number >> (8 * i) & 0xFF));
}

class ProgressReader {
 public:
  explicit ProgressReader(std::string_view octets) : rest_(octets) {}
  bool done() const { return rest_.empty(); }
  std::uint64_t number(unsigned octets) {
    std::uint64_t value = 0;
    for (const char c : text(octets)) value = value << 8 | static_cast<unsigned char>(c);
    return value;
  }
  std::string_view text(std::size_t size) {
    if (size > rest_.size()) {
      throw Error(ErrorCode::parseError, Retry::never, "a position's baseline part is cut off: it is not one of ours");
    }
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

 private:
  std::string_view rest_;
};

}  // namespace

std::string encodeProgress(const BaselineProgress& progress) {
  std::string out;
  if (progress.pending.empty()) return out;
  if (progress.pending.size() > kMaxPending) {
    throw Error(ErrorCode::invalidArgument, Retry::never, "more than 65535 tables cannot be read beside the stream");
  }
  putBig(progress.steps, 8, out);
  putBig(kMaxPending - progress.pending.size(), 2, out);
  for (const PendingTable& table : progress.pending) {
    putBig(table.name.size(), 2, out);
    out += table.name;
    putBig(table.rows, 8, out);
    out.push_back(table.begun ? 1 : 0);
    putBig(table.last.size(), 2, out);
    for (const std::string& column : table.last) {
      putBig(column.size(), 4, out);
      out += column;
    }
  }
  return out;
}

BaselineProgress decodeProgress(std::string_view octets) {
  BaselineProgress progress;
  if (octets.empty()) return progress;
  ProgressReader in(octets);
  progress.steps = in.number(8);
  for (std::size_t left = kMaxPending - in.number(2); left > 0; --left) {
    PendingTable table;
    table.name = in.text(in.number(2));
    table.rows = in.number(8);
    table.begun = in.number(1) != 0;
    for (std::uint64_t columns = in.number(2); columns > 0; --columns) table.last.emplace_back(in.text(in.number(4)));
    progress.pending.push_back(std::move(table));
  }
  if (!in.done() || progress.pending.empty()) {
    throw Error(ErrorCode::parseError, Retry::never, "a position's baseline part has octets behind its end");
  }
  return progress;
}

void putSteps(std::uint64_t steps, std::string& octets) {
  for (unsigned i = 8; i-- > 0; steps >>= 8) octets.at(i) = static_cast<char>(steps & 0xFF);
}

std::string meetProgress(std::string_view a, std::string_view b) {
  if (a.empty()) return std::string(b);
  BaselineProgress meet = decodeProgress(a);
  if (b.empty()) return std::string(a);
  BaselineProgress other = decodeProgress(b);
  // From the one that is less far, in its order: the meet must not be greater than either, octet by octet.
  if (other.steps < meet.steps) std::swap(meet, other);
  for (const PendingTable& table : other.pending) {
    const auto same = std::find_if(meet.pending.begin(), meet.pending.end(),
                                   [&](const PendingTable& mine) { return mine.name == table.name; });
    if (same == meet.pending.end())
      meet.pending.push_back(table);
    else if (table.rows < same->rows || (table.rows == same->rows && !table.begun))
      *same = table;
  }
  return encodeProgress(meet);
}

std::strong_ordering compareProgress(std::string_view a, std::string_view b) noexcept {
  if (a.empty() || b.empty()) return a.empty() <=> b.empty();
  return a.compare(b) <=> 0;
}

}  // namespace tidegate::detail
