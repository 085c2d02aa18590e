/// MySQL's TRANSACTION_PAYLOAD events (binlog_transaction_compression): the events of a transaction, packed by zstd.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "mysql/detail/binlog_event.h"

namespace tidegate::mysql::detail {

/// Unpacks one event after the other: a payload is never whole in memory, however well it packs.
class TransactionPayload {
 public:
  /// @param body of the event, which must outlive this object. @throws Error{parseError}; {typeUnsupported} for what is
  /// packed in another way.
  explicit TransactionPayload(std::string_view body);
  ~TransactionPayload();
  TransactionPayload(const TransactionPayload&) = delete;
  TransactionPayload& operator=(const TransactionPayload&) = delete;

  /// The next event, whose octets hold until the next call; nullopt: that was the last. @throws Error{parseError}
  std::optional<BinlogEvent> next();

 private:
  struct Unpacker;
  void readHead(std::string_view body);
  /// Makes `unpacked_` hold `size` octets from `at_` on. @return false if there is nothing more at all.
  bool fill(std::size_t size);
  bool unpackSome();

  std::string_view packed_;
  std::unique_ptr<Unpacker> unpacker_;  ///< null: not packed
  std::string unpacked_;
  std::size_t at_ = 0;
};

}  // namespace tidegate::mysql::detail
