#include "mysql/detail/xa_id.h"

#include <fmt/format.h>

#include "core/detail/octet_text.h"
#include "mysql/detail/octet_cursor.h"

namespace tidegate::mysql::detail {
namespace {

constexpr std::uint8_t kGroupCommit = 0x02;

void putFrame(std::uint64_t number, std::size_t size, std::string& out) {
  for (; size-- > 0; number >>= 8) out.push_back(static_cast<char>(number & 0xFF));
}

}  // namespace

std::string xaIdOf(const BinlogEvent& gtid) {
  OctetCursor in(gtid.body, "an XA transaction's GTID");
  in.take(12);
  if ((in.octet() & kGroupCommit) != 0) in.take(8);
  const std::uint64_t format = in.little(4);
  const std::size_t first = in.octet(), second = in.octet();
  const std::string global = tidegate::detail::hexOf(in.take(first)), branch = tidegate::detail::hexOf(in.take(second));
  return fmt::format("X'{}',X'{}',{}", global, branch, format);
}

void copyEvent(const BinlogEvent& event, std::string& out) {
  constexpr std::uint64_t kFrame = 19;
  out.clear();
  out.reserve(event.body.size() + kFrame);
  putFrame(event.timestamp, 4, out);
  putFrame(static_cast<std::uint8_t>(event.type), 1, out);
  putFrame(event.server, 4, out);
  putFrame(event.body.size() + kFrame, 4, out);
  putFrame(event.end, 4, out);
  putFrame(event.flags, 2, out);
  out.append(event.body);
}

}  // namespace tidegate::mysql::detail
