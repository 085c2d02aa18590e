#include "kinesis/detail/kpl.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <new>

#include "tidegate/core/error.h"

namespace tidegate::kinesis::detail {
namespace {

constexpr std::string_view kMagic("\xF3\x89\x9A\xC2", 4);
constexpr std::size_t kChecksumBytes = 16;

using Md5 = std::array<unsigned char, kChecksumBytes>;

Md5 md5Of(std::string_view octets) {
  static EVP_MD* const method = EVP_MD_fetch(nullptr, "MD5", nullptr);
  Md5 digest{};
  if (method == nullptr || EVP_Digest(octets.data(), octets.size(), digest.data(), nullptr, method, nullptr) != 1) {
    throw Error(ErrorCode::internal, Retry::afterOperator,
                "OpenSSL gives no MD5, which aggregated Kinesis records need: allow it, or turn off aggregation");
  }
  return digest;
}

[[noreturn]] void refuseAggregate(const char* why) {
  throw Error(ErrorCode::parseError, Retry::never, std::string("an aggregated record is malformed: ") + why);
}

/// Reads a protobuf message field by field.
class Fields {
 public:
  explicit Fields(std::string_view message) : left_(message) {}

  struct Field {
    std::uint32_t number = 0;
    std::uint64_t value = 0;    ///< of a varint
    std::string_view octets{};  ///< of a length-delimited one
    bool delimited = false;
  };

  std::optional<Field> next() {
    if (left_.empty()) return std::nullopt;
    const std::uint64_t tag = varint();
    Field field{.number = static_cast<std::uint32_t>(tag >> 3)};
    switch (tag & 7) {
      case 0:
        field.value = varint();
        break;
      case 1:
        take(8);
        break;
      case 2:
        field.octets = take(varint());
        field.delimited = true;
        break;
      case 5:
        take(4);
        break;
      default:
        refuseAggregate("an unknown wire type");
    }
    if (tag >> 3 == 0 || tag >> 3 > 0x1FFFFFFF) refuseAggregate("a field number out of range");
    return field;
  }

 private:
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (left_.empty()) break;
      const auto octet = static_cast<unsigned char>(left_.front());
      left_.remove_prefix(1);
      value |= static_cast<std::uint64_t>(octet & 0x7F) << shift;
      if ((octet & 0x80) == 0) return value;
    }
    refuseAggregate("a number that does not end");
  }
  std::string_view take(std::uint64_t count) {
    if (count > left_.size()) refuseAggregate("a length beyond its end");
    const std::string_view taken = left_.substr(0, static_cast<std::size_t>(count));
    left_.remove_prefix(taken.size());
    return taken;
  }

  std::string_view left_;
};

struct PartIndices {
  std::string_view data{};
  std::optional<std::uint64_t> partitionKey{}, hashKey{};
  bool hasData = false;
};

PartIndices readPart(std::string_view message) {
  PartIndices part;
  Fields fields(message);
  while (const auto field = fields.next()) {
    if (field->number == 1 && !field->delimited) part.partitionKey = field->value;
    if (field->number == 2 && !field->delimited) part.hashKey = field->value;
    if (field->number == 3 && field->delimited) {
      part.data = field->octets;
      part.hasData = true;
    }
  }
  if (!part.hasData || !part.partitionKey) refuseAggregate("a part without data or key");
  return part;
}

std::string_view entryAt(const std::vector<std::string_view>& table, std::uint64_t index) {
  if (index >= table.size()) refuseAggregate("a key that is not in its table");
  return table[static_cast<std::size_t>(index)];
}

/// A decimal number as 16 octets, most significant first. nullopt where it is none or too large.
std::optional<Md5> hashKeyOf(std::string_view digits) {
  if (digits.empty() || digits.size() > 39) return std::nullopt;
  Md5 out{};
  for (const char c : digits) {
    if (c < '0' || c > '9') return std::nullopt;
    unsigned carry = static_cast<unsigned>(c - '0');
    for (std::size_t i = out.size(); i-- > 0;) {
      const unsigned value = out[i] * 10u + carry;
      out[i] = static_cast<unsigned char>(value & 0xFF);
      carry = value >> 8;
    }
    if (carry != 0) return std::nullopt;
  }
  return out;
}

}  // namespace

bool isAggregated(std::string_view record) {
  if (!record.starts_with(kMagic) || record.size() < kMagic.size() + kChecksumBytes) return false;
  const std::string_view message = record.substr(kMagic.size(), record.size() - kMagic.size() - kChecksumBytes);
  const Md5 digest = md5Of(message);
  const std::string_view said = record.substr(record.size() - kChecksumBytes);
  return std::equal(digest.begin(), digest.end(), said.begin(),
                    [](unsigned char a, char b) { return a == static_cast<unsigned char>(b); });
}

std::vector<KplPart> partsOf(std::string_view record) {
  Fields fields(record.substr(kMagic.size(), record.size() - kMagic.size() - kChecksumBytes));
  std::vector<std::string_view> partitionKeys, hashKeys;
  std::vector<PartIndices> found;
  while (const auto field = fields.next()) {
    if (!field->delimited) continue;
    if (field->number == 1) partitionKeys.push_back(field->octets);
    if (field->number == 2) hashKeys.push_back(field->octets);
    if (field->number == 3) found.push_back(readPart(field->octets));
  }
  std::vector<KplPart> parts;
  parts.reserve(found.size());
  for (const PartIndices& part : found) {
    parts.push_back({.data = part.data,
                     .partitionKey = entryAt(partitionKeys, *part.partitionKey),
                     .explicitHashKey = part.hashKey ? entryAt(hashKeys, *part.hashKey) : std::string_view()});
  }
  return parts;
}

bool belongs(const KplPart& part, const HashRange& range) {
  const auto first = hashKeyOf(range.first), last = hashKeyOf(range.last);
  if (!first || !last) return true;
  const auto explicitKey = hashKeyOf(part.explicitHashKey);
  const Md5 key = explicitKey ? *explicitKey : md5Of(part.partitionKey);
  return *first <= key && key <= *last;
}

}  // namespace tidegate::kinesis::detail
