/// The connection that the binlog comes through.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "core/detail/wake_up.h"
#include "mysql/detail/binlog_position.h"
#include "mysql/detail/c_link.h"
#include "tidegate/core/error.h"

namespace tidegate::mysql::detail {

struct BinlogStart {
  std::uint32_t serverId = 0;  ///< ours, as a replica
  std::chrono::milliseconds heartbeat{1'000};
  std::chrono::milliseconds silence{10'000};  ///< for which a server that lives never says nothing
  Border from{};
  std::string file{};  ///< of a border by file: the file's name
};

/// @thread One at a time, but `interrupt`.
class BinlogLink {
 public:
  /// Connects and asks for the binlog behind a border. @throws Error
  BinlogLink(const ConnectOptions& options, const BinlogStart& start, const std::stop_token& stop);

  /// The next event's octets, which hold until the next call. Waits as long as `wait` at most, or until `wake` is
  /// signalled; over an encrypted connection until the server sends something, a heartbeat at least.
  /// @param beside another descriptor (or -1): what can be read there ends the wait, and so does `wait` over an
  /// encrypted
  ///               connection. There an event that has come may then not be seen before the next one, or a heartbeat.
  /// @return nullopt: nothing has come. @throws Error{connectionFailed, positionLost, …}
  std::optional<std::string_view> next(const tidegate::detail::WakeUp& wake, std::chrono::milliseconds wait,
                                       std::optional<int> beside = std::nullopt);
  /// The same, waiting for nothing but the server; for what is `cached`.
  std::string_view read();
  /// Whether something can be read without waiting. Over an encrypted connection it may be so and not be seen.
  bool hasMore() noexcept { return link_.readable(); }
  /// Whether octets are here already.
  bool cached() const noexcept { return link_.cached(); }
  CLink& link() noexcept { return link_; }

 private:
  void askByDomains(const BinlogStart& start);
  void dump(const BinlogStart& start);

  CLink link_;
};

/// The arguments of COM_BINLOG_DUMP, or of COM_BINLOG_DUMP_GTID for a border by sources.
std::string dumpCommand(const BinlogStart& start);

/// What the server's refusal to send its binlog means.
Error binlogFailure(int number, const std::string& sqlState, const std::string& text);

}  // namespace tidegate::mysql::detail
