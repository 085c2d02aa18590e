#include "durable_streams/detail/json_body.h"

#include <simdjson.h>

#include <nlohmann/json.hpp>

namespace tidegate::durable_streams::detail {

namespace {

constexpr std::string_view kJsonSpace = " \t\n\r";
constexpr std::size_t kMostFreeParsers = 8;
/// A parser for a document of this size is not kept: it holds several times as much memory.
constexpr std::size_t kLargeDocument = 1u << 20;

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kJsonSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kJsonSpace) - first + 1);
}

/// simdjson refuses numbers that JSON allows, over 64 bits or beyond a double.
bool isNumberOutOfRange(simdjson::error_code code) {
  return code == simdjson::NUMBER_ERROR || code == simdjson::NUMBER_OUT_OF_RANGE;
}

/// Takes every number: the reader of a stream decides what it can hold.
class AcceptAll : public nlohmann::json_sax<nlohmann::json> {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override { return true; }
  bool key(string_t&) override { return true; }
  bool end_object() override { return true; }
  bool start_array(std::size_t) override { return true; }
  bool end_array() override { return true; }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& e) override {
    // Only a grammatically whole number can be out of range.
    outOfRange = dynamic_cast<const nlohmann::json::out_of_range*>(&e) != nullptr;
    return false;
  }
  bool outOfRange = false;
};

}  // namespace

JsonChecker::JsonChecker() = default;
JsonChecker::~JsonChecker() = default;

std::unique_ptr<simdjson::dom::parser> JsonChecker::take() {
  {
    const std::lock_guard lock(mutex_);
    if (!free_.empty()) {
      auto parser = std::move(free_.back());
      free_.pop_back();
      return parser;
    }
  }
  return std::make_unique<simdjson::dom::parser>();
}

void JsonChecker::giveBack(std::unique_ptr<simdjson::dom::parser> parser) {
  if (parser->capacity() > kLargeDocument) return;
  const std::lock_guard lock(mutex_);
  if (free_.size() < kMostFreeParsers) free_.push_back(std::move(parser));
}

std::string JsonChecker::check(std::string& document) {
  // simdjson takes a NUL for the end of a number or a word and passes over what follows it; the second parser takes it
  // for the end of everything. No JSON holds one.
  if (document.find('\0') != std::string::npos) return "a NUL octet";
  auto parser = take();
  document.reserve(document.size() + simdjson::SIMDJSON_PADDING);
  const simdjson::error_code code = parser->parse(document.data(), document.size(), false).error();
  giveBack(std::move(parser));
  if (code == simdjson::SUCCESS) return {};
  if (isNumberOutOfRange(code)) {
    AcceptAll accept;
    if (nlohmann::json::sax_parse(document, &accept)) return {};
    if (accept.outOfRange) return "a number beyond a double's range";
  }
  return simdjson::error_message(code);
}

JsonBody jsonBody(JsonChecker& checker, std::string body, bool allowEmpty) {
  JsonBody result;
  if (const std::string problem = checker.check(body); !problem.empty()) {
    result.problem = "invalid JSON: " + problem;
    return result;
  }
  std::string_view messages = trimmed(body);
  if (messages.front() == '[') messages = trimmed(messages.substr(1, messages.size() - 2));
  if (messages.empty()) {
    if (!allowEmpty) result.problem = "an empty array appends nothing; send at least one message";
    return result;
  }
  // In place: the body's memory becomes what is kept.
  const auto first = static_cast<std::size_t>(messages.data() - body.data());
  body.resize(first + messages.size());
  body.erase(0, first);
  body.push_back(',');
  result.kept = std::move(body);
  return result;
}

std::optional<std::size_t> endOfMessages(std::string_view kept, std::uint64_t count) {
  std::size_t depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; count > 0 && i < kept.size(); ++i) {
    const char c = kept[i];
    if (quoted) {
      if (c == '\\') ++i;
      if (c == '"') quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '[' || c == '{') {
      ++depth;
    } else if (c == ']' || c == '}') {
      --depth;
    } else if (c == ',' && depth == 0 && --count == 0) {
      return i + 1;
    }
  }
  return count == 0 ? std::optional<std::size_t>(0) : std::nullopt;
}

std::string jsonArray(std::string kept) {
  if (kept.empty()) return "[]";
  kept.back() = ']';
  kept.insert(kept.begin(), '[');
  return kept;
}

std::string normalContentType(std::string_view contentType) {
  contentType = trimmed(contentType.substr(0, contentType.find(';')));
  std::string normal(contentType);
  for (char& c : normal) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return normal;
}

}  // namespace tidegate::durable_streams::detail
