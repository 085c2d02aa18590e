#include "gateway/detail/push_scanner.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>

#include "tidegate/core/error.h"
#include "tidegate/core/json.h"
#include "tidegate/core/value.h"

namespace tidegate::detail {
namespace {

static_assert(std::endian::native == std::endian::little, "the first octet of a word is its lowest");

constexpr std::size_t kLikelyDeltaBytes = 150;
constexpr std::size_t kDeltasForeseen = 10'000;
constexpr std::ptrdiff_t kSafeDigits = 18;  ///< a number of so many digits fits 63 bits

/// Marks (in its highest bit) the first of eight octets that is a quote, a backslash, a control character or beyond
/// ASCII. Later ones may be marked wrongly. 0: there is none.
std::uint64_t specialsIn(std::uint64_t word) {
  constexpr std::uint64_t kOnes = 0x0101010101010101, kHighs = 0x8080808080808080;
  const auto zeroIn = [](std::uint64_t x) { return (x - kOnes) & ~x & kHighs; };
  return (word & kHighs) | zeroIn(word ^ (kOnes * '"')) | zeroIn(word ^ (kOnes * '\\')) |
         ((word - kOnes * 0x20) & ~word & kHighs);
}

/// Equality of few octets whose number is known: what a compiler makes of memcmp is a call.
template <std::size_t kSize>
bool sameOctets(const char* a, const char* b) {
  const auto same = [&](auto word, std::size_t at) {
    auto other = word;
    std::memcpy(&word, a + at, sizeof word);
    std::memcpy(&other, b + at, sizeof word);
    return word == other;
  };
  if constexpr (kSize > 16) {
    return std::memcmp(a, b, kSize) == 0;
  } else if constexpr (kSize >= 8) {
    return same(std::uint64_t{}, 0) && same(std::uint64_t{}, kSize - 8);
  } else if constexpr (kSize >= 4) {
    return same(std::uint32_t{}, 0) && same(std::uint32_t{}, kSize - 4);
  } else {
    for (std::size_t i = 0; i < kSize; ++i) {
      if (a[i] != b[i]) return false;
    }
    return true;
  }
}

class PushScanner {
 public:
  PushScanner(std::string_view text, const std::function<bool(const ScannedDelta&)>& each)
      : at_(text.data()), end_(text.data() + text.size()), each_(each) {}

  bool run(ScannedPush& push) {
    unsigned seen = 0;
    const bool read = object([&](std::string_view name) {
      if (name == "clientId") return once(seen, 1) && plain(push.clientId);
      if (name == "deltas") return once(seen, 2) && array([&] { return delta() && each_(delta_); });
      if (name == "lastSeenHlc") return once(seen, 4) && stamp(push.lastSeenHlc);
      return false;
    });
    space();
    return read && at_ == end_ && (seen & 3) == 3;
  }

 private:
  static bool once(unsigned& seen, unsigned bit) {
    if ((seen & bit) != 0) return false;
    seen |= bit;
    return true;
  }
  void space() {
    for (; at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t'); ++at_) canonical_ = false;
  }
  bool take(char c) {
    if (at_ != end_ && *at_ != c) space();
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }
  /// Exactly these octets.
  template <std::size_t N>
  bool literal(const char (&expected)[N]) {
    if (static_cast<std::size_t>(end_ - at_) < N - 1 || !sameOctets<N - 1>(at_, expected)) return false;
    at_ += N - 1;
    return true;
  }
  template <class Member>
  bool object(const Member& member) {
    if (!take('{')) return false;
    if (take('}')) return true;
    do {
      std::string_view name;
      if (!plain(name) || !take(':') || !member(name)) return false;
    } while (take(','));
    return take('}');
  }
  template <class Item>
  bool array(const Item& item) {
    if (!take('[')) return false;
    if (take(']')) return true;
    do {
      if (!item()) return false;
    } while (take(','));
    return take(']');
  }

  /// A string without escapes.
  bool plain(std::string_view& out) {
    if (!take('"')) return false;
    const char* const from = at_;
    bool high = false;
    for (;; ++at_) {
      for (std::uint64_t word; end_ - at_ >= 8; at_ += 8) {
        std::memcpy(&word, at_, sizeof word);
        const std::uint64_t specials = specialsIn(word);
        if (specials == 0) continue;
        at_ += std::countr_zero(specials) / 8;
        break;
      }
      if (at_ == end_) return false;
      const auto c = static_cast<unsigned char>(*at_);
      if (c == '"') break;
      if (c == '\\' || c < 0x20) return false;
      high = high || c >= 0x80;
    }
    out = std::string_view(from, static_cast<std::size_t>(at_ - from));
    ++at_;
    return !high || isUtf8(out);
  }
  bool stamp(Hlc& out) {
    if (at_ != end_ && *at_ == '"') {
      const char* const from = at_ + 1;
      std::uint64_t sum = 0;
      // So many digits fit 64 bits, and a stamp of our time has 18 of them.
      const char* const most = from + std::min<std::ptrdiff_t>(end_ - from, kSafeDigits + 1);
      const char* to = from;
      for (; to != most && *to >= '0' && *to <= '9'; ++to) sum = sum * 10 + static_cast<std::uint64_t>(*to - '0');
      if (to != most && to != from && *to == '"') {
        out = Hlc{sum};
        at_ = to + 1;
        return true;
      }
    }
    std::string_view view;
    if (!plain(view)) return false;
    const auto read = Hlc::parse(view);
    if (read) out = *read;
    return read.has_value();
  }

  bool delta() {
    const char* const from = at_;
    if (usualDelta()) return true;
    at_ = from;
    return anyDelta();
  }

  /// As clients write it: without space, in this order. The octets between the values are compared, not understood.
  bool usualDelta() {
    ScannedDelta& out = delta_;
    if (!literal("{\"op\":") || !op(out.op) || !literal(",\"table\":") || !plain(out.table)) return false;
    if (!literal(",\"rowId\":") || !plain(out.rowId)) return false;
    if (!literal(",\"clientId\":") || !plain(out.clientId)) return false;
    if (!literal(",\"columns\":") || !usualColumns()) return false;
    if (!literal(",\"hlc\":") || !stamp(out.hlc)) return false;
    out.deltaId = {};
    if (literal(",\"deltaId\":") && !id(out.deltaId)) return false;
    return literal("}");
  }
  bool usualColumns() {
    const char* const from = at_;
    used_ = 0;
    canonical_ = true;
    if (!literal("[")) return false;
    for (bool more = !literal("]"); more; more = literal(",")) {
      ScannedColumn& column = nextColumn();
      if (!literal("{\"column\":") || !plain(column.column) || !literal(",\"value\":")) return false;
      if (!value(column) || !literal("}")) return false;
    }
    if (used_ > 0 && !literal("]")) return false;
    delta_.columns = {columns_.data(), used_};
    if (canonical_) delta_.canonicalColumns = std::string_view(from, static_cast<std::size_t>(at_ - from));
    if (!canonical_) delta_.canonicalColumns = {};
    return true;
  }

  bool anyDelta() {
    ScannedDelta& out = delta_;
    out = {};
    unsigned seen = 0;
    const bool read = object([&](std::string_view name) {
      if (name == "op") return once(seen, 1) && op(out.op);
      if (name == "table") return once(seen, 2) && plain(out.table);
      if (name == "rowId") return once(seen, 4) && plain(out.rowId);
      if (name == "clientId") return once(seen, 8) && plain(out.clientId);
      if (name == "columns") return once(seen, 16) && anyColumns();
      if (name == "hlc") return once(seen, 32) && stamp(out.hlc);
      if (name == "deltaId") return once(seen, 64) && id(out.deltaId);
      return false;
    });
    return read && (seen & 63) == 63;
  }
  bool op(DeltaOp& out) {
    space();
    if (literal("\"INSERT\"")) {
      out = DeltaOp::insert;
    } else if (literal("\"UPDATE\"")) {
      out = DeltaOp::update;
    } else {
      out = DeltaOp::erase;
      return literal("\"DELETE\"");
    }
    return true;
  }
  bool id(DeltaId& out) {
    constexpr std::ptrdiff_t kHexDigits = 64;
    if (!take('"') || end_ - at_ <= kHexDigits || at_[kHexDigits] != '"') return false;
    const auto read = DeltaId::parse(std::string_view(at_, kHexDigits));
    at_ += kHexDigits + 1;
    if (read) out = *read;
    return read.has_value();
  }
  ScannedColumn& nextColumn() {
    if (used_ == columns_.size()) columns_.emplace_back();
    return columns_[used_++];
  }
  bool anyColumns() {
    used_ = 0;
    const bool read = array([&] {
      ScannedColumn& column = nextColumn();
      unsigned seen = 0;
      return object([&](std::string_view name) {
               if (name == "column") return once(seen, 1) && plain(column.column);
               if (name == "value") return once(seen, 2) && value(column);
               return false;
             }) &&
             seen == 3;
    });
    delta_.columns = {columns_.data(), used_};
    return read;
  }

  bool value(ScannedColumn& to) {
    space();
    to.isText = at_ != end_ && *at_ == '"';
    if (to.isText) return plain(to.text);
    if (at_ == end_) return false;
    switch (*at_) {
      case 't':
        to.value = true;
        return literal("true");
      case 'f':
        to.value = false;
        return literal("false");
      case 'n':
        to.value = Null{};
        return literal("null");
      case '{':
      case '[':
        return false;
      default:
        return number(to.value);
    }
  }
  static bool anyNumber(std::string_view digits, Value& out) {
    try {
      out = valueFromJson(digits);
      return true;
    } catch (const Error&) {
      return false;  // it is none: the tree says where
    }
  }
  bool number(Value& out) {
    const char* const from = at_;
    const bool negative = *at_ == '-';
    if (negative) ++at_;
    const char* const whole = at_;
    std::int64_t sum = 0;
    // As many digits as surely fit; what follows them decides whether that was all of it.
    for (; at_ != end_ && at_ - whole < kSafeDigits && *at_ >= '0' && *at_ <= '9'; ++at_) sum = sum * 10 + (*at_ - '0');
    const bool simple = at_ != whole && (*whole != '0' || (at_ - whole == 1 && !negative)) && !inNumber();
    if (simple) {
      out = negative ? -sum : sum;
      return true;
    }
    canonical_ = false;
    while (inNumber()) ++at_;
    return anyNumber(std::string_view(from, static_cast<std::size_t>(at_ - from)), out);
  }
  bool inNumber() const {
    return at_ != end_ &&
           ((*at_ >= '0' && *at_ <= '9') || *at_ == '-' || *at_ == '+' || *at_ == '.' || *at_ == 'e' || *at_ == 'E');
  }

  const char* at_;
  const char* const end_;
  const std::function<bool(const ScannedDelta&)>& each_;
  ScannedDelta delta_;
  std::vector<ScannedColumn> columns_;  ///< the memory of one delta's, used again for the next
  std::size_t used_ = 0;
  bool canonical_ = true;  ///< the columns read last, so far
};

RowDelta copied(const ScannedDelta& from) {
  RowDelta delta{
      from.op,     std::string(from.table), std::string(from.rowId), std::string(from.clientId), {}, from.hlc,
      from.deltaId};
  delta.columns.reserve(from.columns.size());
  for (const ScannedColumn& column : from.columns) {
    delta.columns.push_back({std::string(column.column), valueOf(column)});
  }
  return delta;
}

}  // namespace

bool scanPush(std::string_view json, ScannedPush& push, const std::function<bool(const ScannedDelta&)>& each) {
  return PushScanner(json, each).run(push);
}

std::optional<SyncPush> scanPush(std::string_view json) {
  SyncPush push;
  ScannedPush scanned;
  push.deltas.reserve(std::min(json.size() / kLikelyDeltaBytes + 1, kDeltasForeseen));
  const bool plain = scanPush(json, scanned, [&](const ScannedDelta& delta) {
    push.deltas.push_back(copied(delta));
    return true;
  });
  if (!plain) return std::nullopt;
  push.clientId = scanned.clientId;
  push.lastSeenHlc = scanned.lastSeenHlc;
  return push;
}

}  // namespace tidegate::detail
