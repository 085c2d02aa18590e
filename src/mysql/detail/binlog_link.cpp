#include "mysql/detail/binlog_link.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "mysql/detail/errors.h"

namespace tidegate::mysql::detail {
namespace {

using std::chrono::milliseconds;

constexpr int kFatalBinlogError = 1236;
constexpr int kSameServerId = 4052;  ///< of newer MariaDB; older ones, and MySQL, say 1236
/// MySQL's COM_BINLOG_DUMP_GTID, and its flag that the set is meant.
constexpr int kDumpByGtid = 0x1E;
constexpr std::uint64_t kThroughGtid = 0x04;
constexpr std::uint64_t kFirstEvent = 4;  ///< its offset in a file
constexpr unsigned char kEndOfFile = 0xFE;
/// A reader that is slow must not make the server give up: as long as it allows, a year.
constexpr const char* kPatience = "SET SESSION net_write_timeout = 31536000";

void putLittle(std::uint64_t number, std::size_t size, std::string& out) {
  for (; size-- > 0; number >>= 8) out.push_back(static_cast<char>(number & 0xFF));
}

bool awaitReadable(int socket, int wake, int beside, milliseconds wait) {
  std::array<pollfd, 3> polled{{{socket, POLLIN, 0}, {wake, POLLIN, 0}, {beside, POLLIN, 0}}};
  const int ready = ::poll(polled.data(), polled.size(), static_cast<int>(wait.count()));  // -1 is passed over
  return ready > 0 && polled[0].revents != 0;
}

}  // namespace

Error binlogFailure(int number, const std::string& sqlState, const std::string& text) {
  if (number == kSameServerId || text.find("same server_uuid/server_id") != std::string::npos) {
    return Error(
        ErrorCode::slotInvalid, Retry::later,
        fmt::format("another replica uses our server id: {} (error {}). Set SourceOptions::serverId to one that "
                    "no replica has",
                    text, number));
  }
  if (number != kFatalBinlogError) return fromNumber(number, sqlState, text);
  for (const std::string_view gone :
       {"purged", "Could not find first log file", "not in the master's binlog", "is missing the GTID",
        "impossible position", "has more GTIDs", "Could not find GTID state"}) {
    if (text.find(gone) == std::string::npos) continue;
    return Error(
        ErrorCode::positionLost, Retry::afterOperator,
        fmt::format("the server no longer has the binlog behind the position: {} (error 1236). A new baseline is "
                    "needed; keep the binlog longer with: SET GLOBAL binlog_expire_logs_seconds = 604800",
                    text));
  }
  return Error(ErrorCode::queryFailed, Retry::later, redactSecrets(text + " (error 1236)"));
}

BinlogLink::BinlogLink(const ConnectOptions& options, const BinlogStart& start, const std::stop_token& stop)
    : link_(options, start.silence, stop) {
  const LinkGuard guard(stop, link_);
  link_.run(kPatience);
  // Without it the server would take the checksums off on its way, and cut a name.
  link_.run("SET @master_binlog_checksum = 'CRC32', @source_binlog_checksum = 'CRC32'");
  const auto nanos = std::chrono::nanoseconds(start.heartbeat).count();
  link_.run(fmt::format("SET @master_heartbeat_period = {0}, @source_heartbeat_period = {0}", nanos));
  if (start.from.by == BorderBy::domains) askByDomains(start);
  dump(start);
}

void BinlogLink::askByDomains(const BinlogStart& start) {
  if (!link_.isMariaDb()) {
    throw Error(ErrorCode::positionLost, Retry::afterOperator,
                "the position is one of MariaDB's GTIDs, and this server is MySQL; a new baseline is needed");
  }
  link_.run(fmt::format("SET @slave_connect_state = {}, @slave_gtid_strict_mode = 0, @slave_gtid_ignore_duplicates = 0",
                        literal(gtidStateToText(start.from.gtids))));
}

std::string dumpCommand(const BinlogStart& start) {
  std::string command;
  if (start.from.by != BorderBy::sources) {
    putLittle(start.from.byFile() ? start.from.file.offset : kFirstEvent, 4, command);
    putLittle(0, 2, command);
    putLittle(start.serverId, 4, command);
    if (start.from.byFile()) command += start.file;
    return command;
  }
  putLittle(kThroughGtid, 2, command);
  putLittle(start.serverId, 4, command);
  putLittle(0, 4, command);  // no file
  putLittle(kFirstEvent, 8, command);
  const std::string set = gtidSetToOctets(start.from.set);
  putLittle(set.size(), 4, command);
  return command + set;
}

void BinlogLink::dump(const BinlogStart& start) {
  const bool bySources = start.from.by == BorderBy::sources;
  if (bySources && link_.isMariaDb()) {
    throw Error(ErrorCode::positionLost, Retry::afterOperator,
                "the position is one of MySQL's GTIDs, and this server is MariaDB; a new baseline is needed");
  }
  // 4: that we know GTID events, without which MariaDB would put BEGIN in their place.
  if (link_.isMariaDb()) link_.run("SET @mariadb_slave_capability = 4");
  const std::string command = dumpCommand(start);
  MYSQL* const handle = link_.raw();
  const enum_server_command kind = bySources ? static_cast<enum_server_command>(kDumpByGtid) : COM_BINLOG_DUMP;
  if (handle->methods->db_command(handle, kind, command.data(), command.size(), 1, nullptr) != 0) link_.fail();
}

std::optional<std::string_view> BinlogLink::next(const tidegate::detail::WakeUp& wake, milliseconds wait,
                                                 std::optional<int> beside) {
  const bool polls = !link_.encrypted() || beside;
  if (polls && !link_.cached() && !awaitReadable(link_.socket(), wake.descriptor(), beside.value_or(-1), wait)) {
    return std::nullopt;
  }
  return read();
}

std::string_view BinlogLink::read() {
  MYSQL* const handle = link_.raw();
  const unsigned long size = mysql_net_read_packet(handle);
  if (size == static_cast<unsigned long>(packet_error)) {
    throw binlogFailure(static_cast<int>(mysql_errno(handle)), mysql_sqlstate(handle), mysql_error(handle));
  }
  const unsigned char* const octets = handle->net.read_pos;
  if (octets[0] == kEndOfFile && size < 9) {
    throw Error(ErrorCode::connectionFailed, Retry::later, "the server ended its binlog's stream");
  }
  return {reinterpret_cast<const char*>(octets) + 1, size - 1};
}

}  // namespace tidegate::mysql::detail
