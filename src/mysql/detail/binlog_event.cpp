#include "mysql/detail/binlog_event.h"

#include <fmt/format.h>
#include <libdeflate.h>
#include <zlib.h>

#include "mysql/detail/octet_cursor.h"

namespace tidegate::mysql::detail {
namespace {

constexpr std::size_t kFrameOctets = 19, kChecksumOctets = 4;
/// What the servers allow for an event (slave_max_allowed_packet).
constexpr std::uint64_t kMaxEventOctets = std::uint64_t{1} << 30;
/// deflate cannot do better than about 1032 to 1.
constexpr std::uint64_t kMaxDeflation = 1'040;

bool hasChecksum(std::string_view octets) {
  if (octets.size() < kFrameOctets + kChecksumOctets) return false;
  const std::string_view covered = octets.substr(0, octets.size() - kChecksumOctets);
  return littleAt<std::uint32_t>(covered.data() + covered.size()) ==
         libdeflate_crc32(0, covered.data(), covered.size());
}

BinlogEvent frameOf(OctetCursor& in) {
  const char* const at = in.take(kFrameOctets).data();
  BinlogEvent event;
  event.timestamp = littleAt<std::uint32_t>(at);
  event.type = static_cast<EventType>(littleAt<std::uint8_t>(at + 4));
  event.server = littleAt<std::uint32_t>(at + 5);
  event.size = littleAt<std::uint32_t>(at + 9);
  event.end = littleAt<std::uint32_t>(at + 13);
  event.flags = littleAt<std::uint16_t>(at + 17);
  return event;
}

}  // namespace

BinlogEvent readEvent(std::string_view octets, const BinlogFormat& format) {
  OctetCursor in(octets, "an event");
  BinlogEvent event = frameOf(in);
  if (event.size != octets.size()) {
    refuseOctets(fmt::format("an event of {} octets says that it has {}", octets.size(), event.size));
  }
  event.body = in.rest();
  // The description of the format says itself whether there are checksums. The server changes a flag of it on the way,
  // so its own checksum may be off.
  if (!format.checksums || event.type == EventType::formatDescription) return event;
  const bool right = hasChecksum(octets);
  // What the server says of the file comes before the format does.
  if (!right && event.type == EventType::rotate && event.end == 0) return event;
  if (!right) refuseOctets(fmt::format("an event of type {} fails its checksum", static_cast<int>(event.type)));
  event.body.remove_suffix(kChecksumOctets);
  return event;
}

BinlogEvent takeNestedEvent(std::string_view& octets) {
  OctetCursor in(octets, "an event in a payload");
  BinlogEvent event = frameOf(in);
  if (event.size < kFrameOctets) refuseOctets("an event in a payload is shorter than its frame");
  event.body = in.take(static_cast<std::size_t>(event.size - kFrameOctets));
  octets.remove_prefix(static_cast<std::size_t>(event.size));
  return event;
}

BinlogFormat readFormat(const BinlogEvent& event) {
  OctetCursor in(event.body, "the description of the format");
  const std::uint64_t version = in.little(2);
  const std::string_view server = in.take(50);
  in.take(4);
  const std::uint64_t frame = in.octet();
  if (version != 4 || frame != kFrameOctets) {
    refuseOctets(fmt::format("the binlog has version {}, and not 4", version));
  }
  const std::string_view rest = in.rest();
  BinlogFormat format;
  format.mariaDb = server.find("MariaDB") != std::string_view::npos;
  // Since MySQL 5.6.1 and MariaDB 5.3: one octet for the algorithm, then a checksum of this event in either case.
  format.checksums = rest.size() > kChecksumOctets && rest[rest.size() - kChecksumOctets - 1] == 1;
  return format;
}

RotateEvent readRotate(const BinlogEvent& event) {
  OctetCursor in(event.body, "a rotation");
  RotateEvent rotate;
  rotate.offset = in.little(8);
  rotate.file = in.rest();
  return rotate;
}

MariaGtidEvent readMariaGtid(const BinlogEvent& event) {
  OctetCursor in(event.body, "a GTID");
  MariaGtidEvent out;
  out.gtid.sequence = in.little(8);
  out.gtid.domain = static_cast<std::uint32_t>(in.little(4));
  out.gtid.server = event.server;
  const std::uint8_t flags = in.octet();
  out.standalone = (flags & 0x01) != 0;
  out.prepares = (flags & 0x40) != 0;
  out.completes = (flags & 0x80) != 0;
  if ((flags & 0x02) != 0) in.take(8);  // the group that it was committed with
  if (out.prepares || out.completes) {
    in.take(4);
    const std::size_t global = in.octet(), branch = in.octet();
    in.take(global + branch);
  }
  const std::uint8_t more = in.done() ? std::uint8_t{0} : in.octet();
  out.halfAltered = (more & (0x02 | 0x08)) != 0;
  return out;
}

namespace {

/// As MySQL's serialization library writes it: numbered fields, of which only the first four are of interest.
Gtid readTaggedGtid(const BinlogEvent& event) {
  OctetCursor in(event.body, "a GTID with a tag");
  if (in.varlen() != 1) refuseOctets("a GTID is written in an unknown way");
  in.varlen();  // how long it is
  in.varlen();  // the last field that must be known
  Gtid gtid;
  const auto field = [&](std::uint64_t number) {
    if (in.varlen() != number) refuseOctets("a GTID lacks one of its parts");
  };
  field(0);
  in.varlen();  // flags
  field(1);
  for (std::uint8_t& octet : gtid.source.uuid.octets) octet = static_cast<std::uint8_t>(in.varlen());
  field(2);
  const std::uint64_t zigzag = in.varlen();
  if ((zigzag & 1) != 0) refuseOctets("a GTID has an impossible number");
  gtid.sequence = zigzag >> 1;
  field(3);
  const std::uint64_t size = in.varlen();
  if (size > in.left()) refuseOctets("a GTID ends within its tag");
  gtid.source.tag = in.take(static_cast<std::size_t>(size));
  if (!gtid.source.tag.empty() && !isGtidTag(gtid.source.tag)) refuseOctets("a GTID's tag is none");
  return gtid;
}

Gtid readPlainGtid(const BinlogEvent& event) {
  OctetCursor in(event.body, "a GTID");
  in.take(1);  // flags
  Gtid gtid;
  std::size_t i = 0;
  auto& octets = gtid.source.uuid.octets;
  for (const char octet : in.take(octets.size())) octets[i++] = static_cast<std::uint8_t>(octet);
  gtid.sequence = in.little(8);
  return gtid;
}

}  // namespace

Gtid readMySqlGtid(const BinlogEvent& event) {
  Gtid gtid = event.type == EventType::mysqlTaggedGtid ? readTaggedGtid(event) : readPlainGtid(event);
  if (gtid.sequence == 0 || gtid.sequence >= INT64_MAX) refuseOctets("a GTID has an impossible number");
  return gtid;
}

QueryEvent readQuery(const BinlogEvent& event, std::string& inflated) {
  OctetCursor in(event.body, "a statement");
  in.take(8);  // thread and duration
  const std::size_t databaseSize = in.octet();
  in.take(2);  // an error code
  const std::size_t statusSize = in.length(2);
  in.take(statusSize);
  QueryEvent out;
  out.database = in.take(databaseSize);
  in.take(1);
  out.statement = in.rest();
  if (event.type != EventType::queryCompressed) return out;
  inflateEvent(out.statement, inflated);
  out.statement = inflated;
  return out;
}

void inflateEvent(std::string_view packed, std::string& out) {
  OctetCursor in(packed, "a compressed event");
  const std::uint8_t head = in.octet();
  const std::size_t sizeOctets = head & 0x07;
  if ((head & 0xF0) != 0x80 || sizeOctets == 0 || sizeOctets > 4) {
    refuseOctets("an event is compressed in an unknown way");
  }
  const std::uint64_t size = in.big(sizeOctets);
  const std::string_view octets = in.rest();
  if (size > kMaxEventOctets || size > (octets.size() + 1) * kMaxDeflation) {
    refuseOctets("a compressed event says that it is longer than it can be");
  }
  out.resize(static_cast<std::size_t>(size));
  uLongf written = static_cast<uLongf>(size);
  const int result = uncompress(reinterpret_cast<Bytef*>(out.data()), &written,
                                reinterpret_cast<const Bytef*>(octets.data()), static_cast<uLong>(octets.size()));
  if (result != Z_OK || written != size) refuseOctets("a compressed event cannot be inflated");
}

}  // namespace tidegate::mysql::detail
