#include "mysql/detail/charset.h"

#include <fmt/format.h>
#include <iconv.h>

#include <algorithm>
#include <mutex>
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
    for (const char c : octets) {
      const std::string& letter = table_[static_cast<unsigned char>(c)];
      if (letter.empty()) return assignBytes(octets, out);
      text += letter;
    }
    assignText(out, text);
  }

 private:
  OctetTable table_;
  bool asciiBelow_ = true;
};

/// By the C library, for sets of several octets a character.
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

struct Wide {
  std::string_view name;
  const char* iconvName;
};

/// The servers' names of sets with more than one octet a character.
constexpr std::array kWide = {
    Wide{"ucs2", "UCS-2BE"},    Wide{"utf16", "UTF-16BE"}, Wide{"utf16le", "UTF-16LE"}, Wide{"utf32", "UTF-32BE"},
    Wide{"big5", "BIG5-HKSCS"}, Wide{"gbk", "GBK"},        Wide{"gb2312", "GB2312"},    Wide{"gb18030", "GB18030"},
    Wide{"sjis", "SHIFT_JIS"},  Wide{"cp932", "CP932"},    Wide{"ujis", "EUC-JP"},      Wide{"eucjpms", "EUC-JP-MS"},
    Wide{"euckr", "EUC-KR"},
};

}  // namespace

std::shared_ptr<const Charset> utf8Charset() {
  static const std::shared_ptr<const Charset> instance = std::make_shared<Utf8>();
  return instance;
}

std::shared_ptr<const Charset> charsetNamed(const std::string& name,
                                            const std::function<OctetTable(const std::string&)>& table) {
  if (name.starts_with("utf8") || name == "ascii") return utf8Charset();
  for (const Wide& wide : kWide) {
    if (wide.name == name) return std::make_shared<ByIconv>(name, wide.iconvName);
  }
  return std::make_shared<OneOctet>(table(name));
}

}  // namespace tidegate::mysql::detail
