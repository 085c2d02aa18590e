/// Reads a pipeline's stream unit by unit: events come out once their commit record was read, and what no commit record
/// counts never does.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "nats/detail/control_record.h"
#include "nats/detail/log_reader.h"

namespace tidegate::nats::detail {

/// The parts of one record, put together.
class PartJoiner {
 public:
  /// @return the whole body once the last part came; nullopt before. @throws Error{parseError}
  std::optional<std::string_view> take(natsMsg* msg, std::string_view where);

 private:
  std::string whole_;
  std::uint64_t next_ = 1;
};

struct UnitReaderOptions {
  std::size_t bufferBytes = 64u << 20;  ///< of a unit held until its commit; a larger one is read twice
  LogReaderOptions log{};
};

/// @thread One at a time.
class UnitReader {
 public:
  using Options = UnitReaderOptions;
  struct Visitor {
    /// An event that counts, with the place of its (last) message. @return false: stop.
    std::function<bool(ChangeEvent& event, std::uint64_t sequence)> event;
    /// After the events of a commit; `record` has tables and shapes where it brought them.
    std::function<bool(const ControlRecord& record, std::uint64_t sequence)> unit;
  };

  UnitReader(JetStream& js, std::string stream, std::uint64_t after, Options options = {});

  /// Takes what comes within `wait`, at least one message if there is one. @return false: the visitor said stop; the
  /// reader is then of no more use. @throws Error as LogReader; parseError for what no sink writes.
  bool read(std::chrono::milliseconds wait, const Visitor& visitor, const std::stop_token& stop);
  /// The last message read.
  std::uint64_t sequence() const noexcept { return log_.sequence(); }
  /// Messages that wait on the server.
  std::uint64_t pending() const noexcept { return log_.pending(); }
  /// Octets read whose commit record was not.
  std::size_t heldBytes() const noexcept { return heldBytes_; }

 private:
  struct Held {
    std::uint64_t sequence;
    Msg msg;
  };
  bool takeControl(natsMsg* msg, std::uint64_t sequence, const Visitor& visitor, const std::stop_token& stop);
  void hold(Msg msg, std::uint64_t sequence);
  bool tellHeld(const ControlRecord& record, const Visitor& visitor);
  bool tellAgain(const ControlRecord& record, const Visitor& visitor, const std::stop_token& stop);
  bool tell(natsMsg* msg, std::uint64_t sequence, const Visitor& visitor);
  void learnShapes(const ControlRecord& record, std::uint64_t sequence, const std::stop_token& stop);
  void forget();

  JetStream& js_;
  const std::string stream_;
  const Options options_;
  LogReader log_;
  std::uint64_t begin_;  ///< messages up to here are not ours to tell
  std::deque<Held> held_;
  std::size_t heldBytes_ = 0;
  bool overflown_ = false;  ///< what was held was let go of
  PartJoiner controlParts_, eventParts_;
  std::map<std::string, Shape, std::less<>> shapes_;
  std::uint64_t shapesAt_ = 0;
};

}  // namespace tidegate::nats::detail
