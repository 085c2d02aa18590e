/// From messages of pgoutput to change events.
#pragma once

#include <functional>

#include "postgres/detail/delivery.h"
#include "postgres/detail/pgoutput.h"
#include "postgres/detail/pgoutput_relations.h"

namespace tidegate::postgres::detail {

/// Fills the columns of `event.after` that `event.unchanged` names, as the table has them now, and takes them off that
/// list. A row that is gone leaves the event as it is.
using FillUnchanged = std::function<void(ChangeEvent& event)>;

/// @thread The stream's.
class ChangeDecoder {
 public:
  ChangeDecoder(PgoutputRelations& relations, Delivery& delivery, FillUnchanged fill)
      : relations_(relations), delivery_(delivery), fill_(std::move(fill)) {}

  /// Takes a message within a transaction: relation, insert, update, erase or truncate. Others mean nothing here.
  /// @param bytes of the message.
  void take(const PgoutputMessage& message, std::size_t bytes);

 private:
  StreamTable* next(std::uint32_t oid);
  void insert(const PgoutputMessage& message, StreamTable& table, std::size_t bytes);
  void update(const PgoutputMessage& message, StreamTable& table, std::size_t bytes);
  void changeKey(const PgoutputMessage& message, StreamTable& table, std::size_t bytes);
  void erase(const PgoutputMessage& message, StreamTable& table, Delivery::Part part, std::size_t bytes);

  PgoutputRelations& relations_;
  Delivery& delivery_;
  FillUnchanged fill_;
};

}  // namespace tidegate::postgres::detail
