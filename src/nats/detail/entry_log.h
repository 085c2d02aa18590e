/// The entries of a shared log in a stream: appending, reading, and what others wrote meanwhile.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "nats/detail/control_record.h"
#include "nats/detail/log_reader.h"

namespace tidegate::nats::detail {

/// @thread One at a time.
class EntryLog {
 public:
  EntryLog(JetStream& js, std::string stream, std::string subject);

  /// As SharedLog's. @throws Error with the codes of a connection
  std::optional<std::uint64_t> append(std::uint64_t last, std::string_view octets);
  using Visitor = std::function<void(std::uint64_t sequence, std::string_view octets)>;
  std::uint64_t read(std::uint64_t after, const Visitor& visit);

 private:
  enum class Tail {
    entry,      ///< somebody else's entry is the last
    orphans,    ///< parts of an entry that has no end yet
    unchanged,  ///< nothing
    otherLog    ///< the log ends before the place asked for, or forgot it
  };
  /// Looks at what stands behind `seen_`.
  Tail lookBehind();
  /// Waits for an entry that is being written. @return what became of it.
  Tail awaitEnd();
  [[noreturn]] void refuseTrimmed(std::uint64_t after) const;
  void makeParts(std::string_view octets, std::vector<OutMessage>& parts);
  void readTo(std::uint64_t end, std::uint64_t after, const Visitor& visit, std::uint64_t& last);

  JetStream& js_;
  const std::string stream_;
  const std::string subject_;
  const std::string writer_;
  const std::size_t partBytes_;
  FencedLog log_;
  std::unique_ptr<LogReader> reader_;
  std::uint64_t entry_ = 0;  ///< the last whole entry that is known
  std::uint64_t seen_ = 0;   ///< the last message looked at; behind `entry_` are parts without an end
  std::uint64_t number_ = 0;
};

}  // namespace tidegate::nats::detail
