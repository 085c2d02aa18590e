#include "mysql/detail/charset.h"

#include <fmt/format.h>
#include <iconv.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <iterator>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "core/detail/assign_value.h"
#include "tidegate/core/error.h"

namespace tidegate::mysql::detail {
namespace {

using tidegate::detail::assignText;
using tidegate::detail::stringIn;

void assignBytes(std::string_view octets, Value& out) { stringIn<Bytes>(out).assign(octets); }

bool isAscii(std::string_view octets) {
  return std::all_of(octets.begin(), octets.end(), [](char c) { return static_cast<signed char>(c) >= 0; });
}

class Utf8 final : public Charset {
 public:
  void decode(std::string_view octets, Value& out) const override {
    if (isAscii(octets) || isUtf8(octets)) return assignText(out, octets);
    assignBytes(octets, out);
  }
};

class OneOctet final : public Charset {
 public:
  explicit OneOctet(OctetTable table) : table_(std::move(table)) {
    for (std::size_t i = 0; i < 128; ++i)
      asciiBelow_ = asciiBelow_ && table_[i] == std::string(1, static_cast<char>(i));
  }
  void decode(std::string_view octets, Value& out) const override {
    if (asciiBelow_ && isAscii(octets)) return assignText(out, octets);
    std::string text;
    text.reserve(octets.size() * 2);
    for (const char c : octets) text += table_[static_cast<unsigned char>(c)];
    assignText(out, text);
  }

 private:
  OctetTable table_;
  bool asciiBelow_ = true;
};

/// By the C library, for a set that has far too many codes to ask for.
class ByIconv final : public Charset {
 public:
  ByIconv(const std::string& name, const char* iconvName) : converter_(iconv_open("UTF-8", iconvName)) {
    if (converter_ == reinterpret_cast<iconv_t>(-1)) {
      throw Error(
          ErrorCode::typeUnsupported, Retry::afterOperator,
          fmt::format("this machine's C library cannot convert {} to UTF-8: install its conversions, or convert "
                      "the column to utf8mb4",
                      name));
    }
  }
  ~ByIconv() override { iconv_close(converter_); }
  ByIconv(const ByIconv&) = delete;
  ByIconv& operator=(const ByIconv&) = delete;

  void decode(std::string_view octets, Value& out) const override {
    std::string text(octets.size() * 4, '\0');
    char* from = const_cast<char*>(octets.data());  // iconv's interface; it does not write there
    char* to = text.data();
    std::size_t left = octets.size(), room = text.size();
    const std::lock_guard lock(mutex_);
    iconv(converter_, nullptr, nullptr, nullptr, nullptr);
    if (iconv(converter_, &from, &left, &to, &room) != 0 || left != 0) return assignBytes(octets, out);
    assignText(out, std::string_view(text).substr(0, text.size() - room));
  }

 private:
  iconv_t converter_;
  mutable std::mutex mutex_;  ///< a converter has a state
};

/// Units of two or four octets. Halves of surrogate pairs that UCS-2 and UTF-32 columns hold become, on the server,
/// octets that are no UTF-8.
class WideUnits final : public Charset {
 public:
  WideUnits(std::size_t size, bool little, bool pairs) : size_(size), little_(little), pairs_(pairs) {}

  void decode(std::string_view octets, Value& out) const override {
    if (octets.size() % size_ != 0) return assignBytes(octets, out);
    std::string text;
    text.reserve(octets.size());
    for (std::size_t at = 0; at < octets.size(); at += size_) {
      std::uint32_t letter = unit(octets, at);
      if (pairs_ && letter >= 0xD800 && letter < 0xE000) {
        const std::uint32_t low = at + size_ < octets.size() ? unit(octets, at += size_) : 0;
        if (letter >= 0xDC00 || low < 0xDC00 || low >= 0xE000) return assignBytes(octets, out);
        letter = 0x10000 + ((letter - 0xD800) << 10) + (low - 0xDC00);
      }
      if (letter > 0x10FFFF) return assignBytes(octets, out);
      putLetter(letter, text);
    }
    utf8Charset()->decode(text, out);
  }

 private:
  std::uint32_t unit(std::string_view octets, std::size_t at) const {
    std::uint32_t unit = 0;
    for (std::size_t i = 0; i < size_; ++i)
      unit = unit << 8 | static_cast<unsigned char>(octets[at + (little_ ? size_ - 1 - i : i)]);
    return unit;
  }
  static void putLetter(std::uint32_t letter, std::string& text) {
    const auto rest = [&](unsigned shift) { text += static_cast<char>(0x80 | (letter >> shift & 0x3F)); };
    if (letter < 0x80) return void(text += static_cast<char>(letter));
    if (letter < 0x800) {
      text += static_cast<char>(0xC0 | letter >> 6);
    } else {
      text += static_cast<char>(letter < 0x10000 ? 0xE0 | letter >> 12 : 0xF0 | letter >> 18);
      if (letter >= 0x10000) rest(12);
      rest(6);
    }
    rest(0);
  }

  std::size_t size_;
  bool little_, pairs_;
};

/// By the server's own table, for sets of one to three octets a character.
class ByTable final : public Charset {
 public:
  explicit ByTable(const LetterTable& letters) {
    for (const auto& [code, letter] : letters) {
      if (code.size() == 1)
        ones_[octet(code[0])] = letter;
      else
        more_.emplace(numberOf(code), letter);
    }
  }
  void decode(std::string_view octets, Value& out) const override {
    std::string text;
    text.reserve(octets.size() * 2);
    for (std::size_t at = 0, size = 1; at < octets.size(); at += size, size = 1) {
      const std::string* letter = &ones_[octet(octets[at])];
      while (letter->empty()) {
        if (++size > std::min<std::size_t>(octets.size() - at, kLongest)) return assignBytes(octets, out);
        const auto found = more_.find(numberOf(octets.substr(at, size)));
        if (found != more_.end()) letter = &found->second;
      }
      text += *letter;
    }
    assignText(out, text);
  }

 private:
  static constexpr std::size_t kLongest = 3;
  static unsigned char octet(char c) { return static_cast<unsigned char>(c); }
  static std::uint32_t numberOf(std::string_view code) {
    std::uint32_t number = 0;
    for (const char c : code) number = number << 8 | octet(c);
    return number;
  }

  OctetTable ones_;
  std::unordered_map<std::uint32_t, std::string> more_;
};

/// Octets of a code, by ranges.
struct Range {
  unsigned char from, to;
  bool has(unsigned octet) const { return octet >= from && octet <= to; }
};
struct Form {
  std::string_view set;
  Range high;      ///< characters of one octet beyond ASCII; none where `from` > `to`
  Range leads[2];  ///< of two octets
  Range trails[3];
  bool threes;  ///< and of three, behind 0x8F
};
constexpr Range kNone{1, 0};
constexpr std::array kForms = {
    Form{"big5", kNone, {{0xA1, 0xF9}, kNone}, {{0x40, 0x7E}, {0xA1, 0xFE}, kNone}, false},
    Form{"gbk", kNone, {{0x81, 0xFE}, kNone}, {{0x40, 0x7E}, {0x80, 0xFE}, kNone}, false},
    Form{"gb2312", kNone, {{0xA1, 0xF7}, kNone}, {{0xA1, 0xFE}, kNone, kNone}, false},
    Form{"euckr", kNone, {{0x81, 0xFE}, kNone}, {{0x41, 0x5A}, {0x61, 0x7A}, {0x81, 0xFE}}, false},
    Form{"sjis", {0xA1, 0xDF}, {{0x81, 0x9F}, {0xE0, 0xFC}}, {{0x40, 0x7E}, {0x80, 0xFC}, kNone}, false},
    Form{"cp932", {0xA1, 0xDF}, {{0x81, 0x9F}, {0xE0, 0xFC}}, {{0x40, 0x7E}, {0x80, 0xFC}, kNone}, false},
    Form{"ujis", kNone, {{0xA1, 0xFE}, kNone}, {{0xA1, 0xFE}, kNone, kNone}, true},
    Form{"eucjpms", kNone, {{0xA1, 0xFE}, kNone}, {{0xA1, 0xFE}, kNone, kNone}, true},
};

std::vector<std::string> codesOf(const Form& form) {
  std::vector<std::string> codes;
  const auto add = [&](std::initializer_list<unsigned> octets) {
    std::string& code = codes.emplace_back();
    for (const unsigned octet : octets) code += static_cast<char>(octet);
  };
  for (unsigned c = 0; c < 256; ++c) {
    if (c < 0x80 || form.high.has(c)) add({c});
  }
  for (unsigned lead = 0x81; lead < 256; ++lead) {
    for (unsigned trail = 0x40; trail < 256; ++trail) {
      const bool kana = form.threes && lead == 0x8E && trail >= 0xA1 && trail <= 0xDF;
      const bool led = std::any_of(std::begin(form.leads), std::end(form.leads), [&](Range r) { return r.has(lead); });
      const bool trailed =
          std::any_of(std::begin(form.trails), std::end(form.trails), [&](Range r) { return r.has(trail); });
      if (kana || (led && trailed)) add({lead, trail});
      if (form.threes && led && trailed) add({0x8F, lead, trail});
    }
  }
  return codes;
}

}  // namespace

std::shared_ptr<const Charset> utf8Charset() {
  static const std::shared_ptr<const Charset> instance = std::make_shared<Utf8>();
  return instance;
}

std::shared_ptr<const Charset> charsetNamed(const std::string& name, const ServersTables& tables) {
  if (name.starts_with("utf8")) return utf8Charset();
  if (name == "ucs2") return std::make_shared<WideUnits>(2, false, false);
  if (name == "utf16") return std::make_shared<WideUnits>(2, false, true);
  if (name == "utf16le") return std::make_shared<WideUnits>(2, true, true);
  if (name == "utf32") return std::make_shared<WideUnits>(4, false, false);
  if (name == "gb18030") return std::make_shared<ByIconv>(name, "GB18030");
  for (const Form& form : kForms) {
    if (form.set == name) return std::make_shared<ByTable>(tables.letters(name, codesOf(form)));
  }
  return std::make_shared<OneOctet>(tables.octets(name));
}

}  // namespace tidegate::mysql::detail
