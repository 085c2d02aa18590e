/// What a JSON stream keeps of a body: its messages as they were written, each followed by a comma (section 9.1).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace simdjson::dom {
class parser;
}

namespace tidegate::durable_streams::detail {

/// Checks documents, and keeps its parsers for the next ones.
/// @thread Any.
class JsonChecker {
 public:
  JsonChecker();
  ~JsonChecker();
  /// @return why it is no JSON document; empty where it is one. `document` may grow its capacity.
  std::string check(std::string& document);

 private:
  std::unique_ptr<simdjson::dom::parser> take();
  void giveBack(std::unique_ptr<simdjson::dom::parser> parser);

  std::mutex mutex_;
  std::vector<std::unique_ptr<simdjson::dom::parser>> free_;
};

struct JsonBody {
  std::string kept{};     ///< "message,message,"; empty for an empty array
  std::string problem{};  ///< why it is refused; empty where it is not
};

/// An array's elements are messages of their own, one level deep. An empty array is refused unless `allowEmpty`.
JsonBody jsonBody(JsonChecker& checker, std::string body, bool allowEmpty);

/// Where the first `count` messages of a kept piece end, their comma included. nullopt where there are fewer.
std::optional<std::size_t> endOfMessages(std::string_view kept, std::uint64_t count);

/// A piece of a kept stream as an array.
std::string jsonArray(std::string kept);

/// Lower case and without parameters: "Application/JSON; charset=utf-8" is "application/json".
std::string normalContentType(std::string_view contentType);

}  // namespace tidegate::durable_streams::detail
