/// A JSON stream's data, taken apart into its messages without touching an octet of them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "durable_streams/detail/json_body.h"

namespace tidegate::durable_streams::detail {

using MessageSpans = std::vector<std::pair<std::size_t, std::size_t>>;

/// Begin and length of each message: the elements of an array, one level deep; a document that is no array is one
/// message. Blank text has none.
/// @param document may grow its capacity.
/// @throws Error{parseError} where it is no JSON.
MessageSpans splitMessages(JsonChecker& checker, std::string& document);

/// Makes "[a,b]" of one or several documents that `splitMessages` took apart, and their spans in it. One array stays
/// as it is.
class MessageJoiner {
 public:
  /// @throws Error{parseError} as splitMessages.
  void add(JsonChecker& checker, std::string document);
  std::size_t bytes() const noexcept { return data_.size(); }
  void clear();
  /// What was added, as one array; "" where nothing was.
  std::pair<std::string, MessageSpans> take();

 private:
  std::string data_;
  MessageSpans spans_;
  std::size_t documents_ = 0;
  bool array_ = false;  ///< `data_` is one array, as it came
};

}  // namespace tidegate::durable_streams::detail
