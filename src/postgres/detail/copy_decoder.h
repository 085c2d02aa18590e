/// Rows out of `COPY … TO STDOUT (FORMAT binary)`.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "postgres/detail/decode.h"
#include "tidegate/core/value.h"

namespace tidegate::postgres::detail {

/// One column of the stream, in its order.
struct CopyColumn {
  std::string name{};  ///< for messages
  Decoder decode = nullptr;
};

/// Reads the messages of one COPY. What comes from the wire is not trusted: lengths are checked before they are used.
class CopyDecoder {
 public:
  CopyDecoder(std::string table, std::vector<CopyColumn> columns)
      : table_(std::move(table)), columns_(std::move(columns)) {}

  /// Reads the next row of one CopyData message (libpq hands out whole rows), and takes it off `message`.
  /// @param values resized to the column count; strings in it are used again.
  /// @return false if the message holds no further row.
  /// @throws Error{parseError} naming the table, and the column where one is at fault.
  bool next(std::string_view& message, std::vector<Value>& values);
  /// The COPY has ended. @throws Error{parseError} if its trailer has not been seen.
  void finish() const;

 private:
  void readHeader(std::string_view& message);
  [[noreturn]] void refuse(const std::string& why) const;
  void decodeColumn(std::size_t i, std::string_view octets, Value& out) const;

  std::string table_;
  std::vector<CopyColumn> columns_;
  bool headerRead_ = false, trailerRead_ = false;
};

}  // namespace tidegate::postgres::detail
