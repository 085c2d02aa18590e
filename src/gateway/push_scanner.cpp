#include "gateway/detail/push_scanner.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "tidegate/core/error.h"
#include "tidegate/core/json.h"
#include "tidegate/core/value.h"

namespace tidegate::detail {
namespace {

constexpr std::size_t kLikelyDeltaBytes = 150;
constexpr std::size_t kDeltasForeseen = 10'000;
constexpr std::size_t kSafeDigits = 18;  ///< a number of so many digits fits 63 bits

/// Whether eight octets hold a quote, a backslash, a control character, or one beyond ASCII.
bool holdsSpecial(std::uint64_t word) {
  constexpr std::uint64_t kOnes = 0x0101010101010101, kHighs = 0x8080808080808080;
  const auto zeroIn = [](std::uint64_t x) { return (x - kOnes) & ~x & kHighs; };
  return ((word & kHighs) | zeroIn(word ^ (kOnes * '"')) | zeroIn(word ^ (kOnes * '\\')) |
          ((word - kOnes * 0x20) & ~word & kHighs)) != 0;
}

class PushScanner {
 public:
  explicit PushScanner(std::string_view text) : at_(text.data()), end_(text.data() + text.size()) {}

  bool run(SyncPush& push) {
    deltas_ = &push.deltas;
    push.deltas.reserve(std::min(static_cast<std::size_t>(end_ - at_) / kLikelyDeltaBytes + 1, kDeltasForeseen));
    unsigned seen = 0;
    const bool read = object([&](std::string_view name) {
      if (name == "clientId") return once(seen, 1) && text(push.clientId);
      if (name == "deltas") return once(seen, 2) && array([&] { return delta(); });
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
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
  }
  bool take(char c) {
    space();
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
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
        if (holdsSpecial(word)) break;
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
  bool text(std::string& out) {
    std::string_view view;
    if (!plain(view)) return false;
    out = view;
    return true;
  }
  bool stamp(Hlc& out) {
    std::string_view view;
    if (!plain(view)) return false;
    const auto read = Hlc::parse(view);
    if (read) out = *read;
    return read.has_value();
  }

  bool delta() {
    RowDelta& out = deltas_->emplace_back();
    unsigned seen = 0;
    const bool read = object([&](std::string_view name) {
      if (name == "op") return once(seen, 1) && op(out.op);
      if (name == "table") return once(seen, 2) && text(out.table);
      if (name == "rowId") return once(seen, 4) && text(out.rowId);
      if (name == "clientId") return once(seen, 8) && text(out.clientId);
      if (name == "columns") return once(seen, 16) && columns(out.columns);
      if (name == "hlc") return once(seen, 32) && stamp(out.hlc);
      if (name == "deltaId") return once(seen, 64) && id(out.deltaId);
      return false;
    });
    return read && (seen & 63) == 63;
  }
  bool op(DeltaOp& out) {
    std::string_view view;
    if (!plain(view)) return false;
    const auto read = parseDeltaOp(view);
    if (read) out = *read;
    return read.has_value();
  }
  bool id(DeltaId& out) {
    std::string_view view;
    if (!plain(view)) return false;
    const auto read = DeltaId::parse(view);
    if (read) out = *read;
    return read.has_value();
  }
  bool columns(std::vector<ColumnValue>& out) {
    out.reserve(columnsForeseen_);
    const bool read = array([&] {
      ColumnValue& column = out.emplace_back();
      unsigned seen = 0;
      return object([&](std::string_view name) {
               if (name == "column") return once(seen, 1) && text(column.column);
               if (name == "value") return once(seen, 2) && value(column.value);
               return false;
             }) &&
             seen == 3;
    });
    columnsForeseen_ = out.size();
    return read;
  }

  bool word(std::string_view expected) {
    if (static_cast<std::size_t>(end_ - at_) < expected.size()) return false;
    if (std::memcmp(at_, expected.data(), expected.size()) != 0) return false;
    at_ += expected.size();
    return true;
  }
  bool value(Value& out) {
    space();
    if (at_ == end_) return false;
    switch (*at_) {
      case '"': {
        std::string string;
        if (!text(string)) return false;
        out = std::move(string);
        return true;
      }
      case 't':
        out = true;
        return word("true");
      case 'f':
        out = false;
        return word("false");
      case 'n':
        out = Null{};
        return word("null");
      case '{':
      case '[':
        return false;
      default:
        return number(out);
    }
  }
  bool number(Value& out) {
    const char* const from = at_;
    while (at_ != end_ &&
           ((*at_ >= '0' && *at_ <= '9') || *at_ == '-' || *at_ == '+' || *at_ == '.' || *at_ == 'e' || *at_ == 'E')) {
      ++at_;
    }
    const std::string_view digits(from, static_cast<std::size_t>(at_ - from));
    const bool negative = digits.starts_with('-');
    const std::string_view whole = digits.substr(negative ? 1 : 0);
    const bool simple = !whole.empty() && whole.size() <= kSafeDigits && (whole[0] != '0' || digits == "0") &&
                        whole.find_first_not_of("0123456789") == whole.npos;
    if (!simple) {
      out = valueFromJson(digits);  // throws for what is none; whoever calls `run` takes that for "not plain"
      return true;
    }
    std::int64_t sum = 0;
    for (const char digit : whole) sum = sum * 10 + (digit - '0');
    out = negative ? -sum : sum;
    return true;
  }

  const char* at_;
  const char* const end_;
  std::vector<RowDelta>* deltas_ = nullptr;
  std::size_t columnsForeseen_ = 0;
};

}  // namespace

std::optional<SyncPush> scanPush(std::string_view json) {
  try {
    SyncPush push;
    if (PushScanner(json).run(push)) return push;
  } catch (const Error&) {
    // A number that is none: the tree says where.
  }
  return std::nullopt;
}

}  // namespace tidegate::detail
