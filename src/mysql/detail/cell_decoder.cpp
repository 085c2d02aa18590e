#include "mysql/detail/cell_decoder.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <iterator>

#include "core/detail/assign_value.h"
#include "core/detail/sql_time.h"
#include "mysql/detail/cell_times.h"
#include "mysql/detail/geometry_text.h"
#include "mysql/detail/json_binary.h"

namespace tidegate::mysql::detail {
namespace {

using tidegate::detail::assignText;
using tidegate::detail::stringIn;

/// What the servers allow for one cell.
constexpr std::uint64_t kMaxCellOctets = std::uint64_t{1} << 30;

void integer(OctetCursor& in, std::size_t size, bool isUnsigned, Value& out) {
  const std::uint64_t number = in.little(size);
  if (isUnsigned)
    out = Value(number);
  else
    out.variant() = signExtended(number, size);
}

/// A UUID is stored so that those of one clock stand together: node and clock first.
std::string uuidText(std::string_view octets) {
  Uuid uuid;
  const auto at = [&](std::size_t i) { return static_cast<std::uint8_t>(octets[i]); };
  // Those of versions 1 to 5 only: they show the variant's bit where others have their version, and the other way
  // round.
  const unsigned version = at(8) >> 4;
  if ((at(6) & 0x80) == 0 || version < 1 || version > 5) {
    for (std::size_t i = 0; i < 16; ++i) uuid.octets[i] = at(i);
  } else {
    constexpr std::array<std::uint8_t, 16> kFrom{12, 13, 14, 15, 10, 11, 8, 9, 6, 7, 0, 1, 2, 3, 4, 5};
    for (std::size_t i = 0; i < 16; ++i) uuid.octets[i] = at(kFrom[i]);
  }
  return toIso(uuid);
}

std::string addressText(std::string_view octets, int family) {
  char text[INET6_ADDRSTRLEN] = {};
  inet_ntop(family, octets.data(), text, sizeof text);
  return text;
}

void stringCell(std::string_view octets, const CellPlan& plan, Value& out) {
  switch (plan.meaning) {
    case CellMeaning::text:
      return plan.charset->decode(octets, out);
    case CellMeaning::bytes: {
      std::string& held = stringIn<Bytes>(out);
      held.assign(octets);
      if (held.size() < plan.padTo) held.resize(plan.padTo, '\0');
      return;
    }
    default:
      break;
  }
  const std::size_t size = plan.meaning == CellMeaning::inet4 ? 4 : 16;
  std::string whole(octets);
  if (whole.size() > size) refuseOctets("an address or UUID is too long");
  whole.resize(size, '\0');
  if (plan.meaning == CellMeaning::uuid) return assignText(out, uuidText(whole));
  assignText(out, addressText(whole, plan.meaning == CellMeaning::inet4 ? AF_INET : AF_INET6));
}

/// MariaDB's COMPRESSED columns: one octet says how, then the length, then what zlib made of it.
void compressedCell(std::string_view octets, const CellPlan& plan, Value& out) {
  if (octets.empty()) return stringCell(octets, plan, out);
  OctetCursor in(octets, "a compressed cell");
  const std::uint8_t head = in.octet();
  if (head == 0) return stringCell(in.rest(), plan, out);
  const std::size_t sizeOctets = head & 0x07;
  if ((head >> 4) != 8 || sizeOctets == 0 || sizeOctets > 4) refuseOctets("a cell is compressed in an unknown way");
  const std::uint64_t size = in.big(sizeOctets);
  const std::string_view packed = in.rest();
  if (size > kMaxCellOctets || size > (packed.size() + 1) * 1'040)
    refuseOctets("a compressed cell is longer than it can be");
  std::string text(static_cast<std::size_t>(size), '\0');
  z_stream stream{};
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));  // zlib's interface; it only reads
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(text.data());
  stream.avail_out = static_cast<uInt>(text.size());
  if (inflateInit2(&stream, (head & 0x08) != 0 ? -MAX_WBITS : MAX_WBITS) != Z_OK) throw std::bad_alloc();
  const int result = inflate(&stream, Z_FINISH);
  inflateEnd(&stream);
  if (result != Z_STREAM_END || stream.avail_out != 0) refuseOctets("a compressed cell cannot be inflated");
  stringCell(text, plan, out);
}

void enumeration(std::uint64_t number, const CellPlan& plan, Value& out) {
  if (number == 0) return assignText(out, "");  // what a value that is none of them was stored as
  if (plan.labels.empty()) return void(out = Value(number));
  if (number > plan.labels.size()) refuseOctets("an ENUM holds a number without a label");
  assignText(out, plan.labels[static_cast<std::size_t>(number - 1)]);
}

void set(std::uint64_t bits, const CellPlan& plan, Value& out) {
  if (plan.labels.empty()) return void(out = Value(bits));
  std::string& text = stringIn<std::string>(out);
  text.clear();
  for (std::size_t i = 0; i < 64; ++i) {
    if ((bits & (std::uint64_t{1} << i)) == 0) continue;
    if (i >= plan.labels.size()) refuseOctets("a SET holds a member without a label");
    if (!text.empty()) text += ',';
    text += plan.labels[i];
  }
}

std::string_view sized(OctetCursor& in, std::uint32_t most) { return in.take(in.length(most > 255 ? 2 : 1)); }

void blobCell(std::string_view octets, const CellPlan& plan, Value& out) {
  switch (plan.type) {
    case WireType::geometry: {
      std::string& text = stringIn<std::string>(out);
      text.clear();
      return geometryToText(octets, text);
    }
    case WireType::json: {
      std::string& text = stringIn<Json>(out).assign("");
      return jsonFromBinary(octets, text);
    }
    case WireType::blobCompressed:
      return compressedCell(octets, plan, out);
    default:
      return stringCell(octets, plan, out);
  }
}

constexpr std::array<std::uint32_t, 10> kPowers{1,       10,        100,        1'000,       10'000,
                                                100'000, 1'000'000, 10'000'000, 100'000'000, 1'000'000'000};

constexpr std::array<char, 200> kPairs = [] {
  std::array<char, 200> pairs{};
  for (std::size_t i = 0; i < 100; ++i) {
    pairs[2 * i] = static_cast<char>('0' + i / 10);
    pairs[2 * i + 1] = static_cast<char>('0' + i % 10);
  }
  return pairs;
}();

/// Writes `count` digits. @return behind them
char* putDigits(std::uint32_t number, unsigned count, char* at) {
  char* const end = at + count;
  for (; count >= 2; count -= 2, number /= 100) std::memcpy(at + count - 2, &kPairs[2 * (number % 100)], 2);
  if (count == 1) *at = static_cast<char>('0' + number);
  return end;
}

unsigned digitsOf(std::uint32_t number) {
  unsigned count = 1;
  while (count < 10 && number >= kPowers[count]) ++count;
  return count;
}

/// The groups of up to nine digits of a DECIMAL, each a number of as many octets as it takes, most significant first. A
/// negative one has all its bits turned over; then the first is turned.
class DecimalGroups {
 public:
  explicit DecimalGroups(OctetCursor& in) : in_(in) {}

  /// The next group, of `count` digits.
  std::uint32_t next(unsigned count) {
    constexpr std::array<std::uint8_t, 10> kOctets{0, 1, 1, 2, 2, 3, 3, 4, 4, 4};
    const unsigned bits = 8U * kOctets[count];
    auto number = static_cast<std::uint32_t>(in_.big(kOctets[count]));
    if (first_) {
      const std::uint32_t sign = std::uint32_t{1} << (bits - 1);
      negative_ = (number & sign) == 0;
      number ^= sign;
      first_ = false;
    }
    if (negative_) number = ~number & static_cast<std::uint32_t>((std::uint64_t{1} << bits) - 1);
    if (number >= kPowers[count]) refuseOctets("a DECIMAL holds something that is no digit");
    return number;
  }
  bool negative() const noexcept { return negative_; }

 private:
  OctetCursor& in_;
  bool first_ = true;
  bool negative_ = false;
};

}  // namespace

void readDecimal(OctetCursor& in, unsigned precision, unsigned scale, std::string& out) {
  if (precision < 1 || precision > 65 || scale > precision) refuseOctets("a DECIMAL has impossible digits");
  const unsigned whole = precision - scale;
  std::array<char, 80> text;
  char* const begin = text.data() + 1;  // behind a sign
  char* at = begin;
  DecimalGroups groups(in);
  for (unsigned left = whole; left > 0;) {
    const unsigned count = left % 9 == 0 ? 9 : left % 9;
    left -= count;
    const std::uint32_t group = groups.next(count);
    if (at != begin || group != 0) at = putDigits(group, at != begin ? count : digitsOf(group), at);
  }
  if (at == begin) *at++ = '0';
  if (scale > 0) *at++ = '.';
  for (unsigned left = scale; left > 0;) {
    const unsigned count = std::min(left, 9U);
    left -= count;
    at = putDigits(groups.next(count), count, at);
  }
  text[0] = '-';
  char* const first = groups.negative() ? text.data() : begin;
  out.assign(first, static_cast<std::size_t>(at - first));
}

void readCell(OctetCursor& in, const CellPlan& plan, Value& out) {
  switch (plan.type) {
    case WireType::tiny:
      return integer(in, 1, plan.isUnsigned, out);
    case WireType::shortInteger:
      return integer(in, 2, plan.isUnsigned, out);
    case WireType::int24:
      return integer(in, 3, plan.isUnsigned, out);
    case WireType::longInteger:
      return integer(in, 4, plan.isUnsigned, out);
    case WireType::longLong:
      return integer(in, 8, plan.isUnsigned, out);
    case WireType::floating:
      out.variant() = static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(in.little(4))));
      return;
    case WireType::doubling:
      out.variant() = std::bit_cast<double>(in.little(8));
      return;
    case WireType::decimal:
      return readDecimal(in, plan.meta / 256, plan.meta % 256, stringIn<Decimal>(out));
    case WireType::bit:
      out = Value(in.big(plan.meta));
      return;
    case WireType::year: {
      const std::int64_t year = in.octet();
      out.variant() = year == 0 ? year : year + 1900;
      return;
    }
    case WireType::enumeration:
      return enumeration(in.little(plan.meta), plan, out);
    case WireType::set:
      return set(in.little(plan.meta), plan, out);
    case WireType::varchar:
    case WireType::varString:
    case WireType::string:
      return stringCell(sized(in, plan.meta), plan, out);
    case WireType::varcharCompressed:
      return compressedCell(sized(in, plan.meta), plan, out);
    case WireType::blob:
    case WireType::tinyBlob:
    case WireType::mediumBlob:
    case WireType::longBlob:
    case WireType::blobCompressed:
    case WireType::geometry:
    case WireType::json:
    case WireType::vector:
      return blobCell(in.take(in.length(plan.meta)), plan, out);
    default:
      return readTimeCell(in, plan.type, plan.meta, out);
  }
}

}  // namespace tidegate::mysql::detail
