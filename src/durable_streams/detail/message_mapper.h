/// From a stream's messages to the events of its tables.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "durable_streams/detail/stream_place.h"
#include "tidegate/durable_streams/source.h"

namespace tidegate::durable_streams::detail {

/// What is known of a message besides its text.
struct MessageSite {
  StreamPlace before{};  ///< the place before it; its number is the message's
  std::int64_t receivedMicros = 0;
};

/// What one message comes to.
struct MappedMessage {
  std::vector<ChangeEvent> events{};  ///< without positions and borders
  std::size_t entities = 0;           ///< so many of them, the first, are of tables of entities
  bool inTransaction = false;         ///< more messages of its transaction follow
};

/// @thread Immutable once made: any.
class MessageMapper {
 public:
  explicit MessageMapper(const SourceOptions& options);

  /// null: no such table.
  Shape shapeOf(const std::string& table) const;
  /// Events of the tables in `wanted`. @throws Error{parseError} for a message that does not fit.
  void map(std::string_view message, const MessageSite& site, const std::set<std::string>& wanted,
           MappedMessage& out) const;

 private:
  struct Table {
    Shape shape;
    std::string type;                                          ///< of entities
    std::vector<EventField> fields;                            ///< of events
    std::vector<std::vector<std::vector<std::string>>> paths;  ///< for each field, its pointers' parts
  };
  void mapEntity(std::string_view message, const std::set<std::string>& wanted, MappedMessage& out) const;
  void mapEvent(const Table& table, std::string_view message, const MessageSite& site, MappedMessage& out) const;
  bool isOwn(std::string_view message) const;

  std::vector<Table> tables_;
  std::set<std::string> skipOrigins_;
  std::string name_;
};

/// The parts of an RFC 6901 pointer. @throws Error{invalidConfig} where it is malformed.
std::vector<std::string> pointerParts(const std::string& pointer);

}  // namespace tidegate::durable_streams::detail
