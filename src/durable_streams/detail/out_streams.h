/// Messages of a unit of work on their way into streams: each stream's in order, with the borders of transactions.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "durable_streams/detail/entity_view.h"
#include "durable_streams/detail/sink_journal.h"

namespace tidegate::durable_streams::detail {

struct OutLimits {
  std::size_t batchBytes = 0;
  std::size_t pendingBytes = 0;
  std::size_t readBackBytes = 0;
};

/// @thread One at a time.
class OutStreams {
 public:
  OutStreams(StreamLog& log, SinkJournal& journal, OutLimits limits) : log_(log), journal_(journal), limits_(limits) {}

  /// Makes the stream where there is none.
  void prepare(const std::string& stream, std::stop_token stop);
  void write(const std::string& table, const std::string& stream, ChangeMessage message);
  void write(const std::string& table, const std::string& stream, const ControlMessage& message);
  /// The last message of each stream that the transaction wrote to says so.
  void endTransaction();

  /// What the stream comes to, this unit's messages included. Read once, then kept up to date until the unit is undone.
  const EntityView& view(const std::string& stream);
  /// Whether the stream was made by this sink, and nothing was ever written to it.
  bool untouched(const std::string& stream) const;
  /// Every stream that holds rows of the table, this unit's included.
  std::vector<std::string> streamsOf(const std::string& table) const;

  void commit(std::string_view checkpoint);
  void undo() noexcept;

 private:
  struct Out {
    std::vector<std::string> pending{};
    std::size_t pendingBytes = 0;
    std::optional<ChangeMessage> held{};  ///< the transaction's last so far
    bool several = false;                 ///< it has had one before `held`
    bool fresh = false;                   ///< made by this sink
    bool written = false;                 ///< in this unit, or before
    std::unique_ptr<EntityView> view{};
  };
  Out& out(const std::string& table, const std::string& stream);
  void push(const std::string& stream, Out& to, std::string message);
  void release(const std::string& stream, Out& to, bool ends);
  void spillIfFull(const std::string& stream, Out& to);
  void readBack(const std::string& stream, Out& of);

  StreamLog& log_;
  SinkJournal& journal_;
  OutLimits limits_;
  std::map<std::string, Out> streams_{};
  std::vector<std::string> inTransaction_{};  ///< streams with something held
  KnownStreams added_{};
  std::size_t pendingBytes_ = 0;
  std::stop_token stop_{};
};

}  // namespace tidegate::durable_streams::detail
