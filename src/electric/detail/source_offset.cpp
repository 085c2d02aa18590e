#include "electric/detail/source_offset.h"

#include <charconv>

namespace tidegate::electric::reading {
namespace {

template <class Number>
bool wholeNumber(std::string_view text, Number& out) {
  if (text.empty() || text.front() < '0' || text.front() > '9') return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size();
}

}  // namespace

std::string toText(LogOffset offset) {
  if (offset.isStart()) return "-1";
  std::string text = std::to_string(offset.tx) + "_";
  return text + (offset.op == LogOffset::kInfinity ? "inf" : std::to_string(offset.op));
}

std::optional<LogOffset> offsetFromText(std::string_view text) {
  if (text == "-1") return LogOffset{};
  const std::size_t border = text.find('_');
  if (border == text.npos) return std::nullopt;
  LogOffset offset;
  if (!wholeNumber(text.substr(0, border), offset.tx) || offset.tx == INT64_MAX) return std::nullopt;
  const std::string_view op = text.substr(border + 1);
  if (op == "inf") {
    offset.op = LogOffset::kInfinity;
    return offset;
  }
  if (!wholeNumber(op, offset.op) || offset.op == LogOffset::kInfinity) return std::nullopt;
  return offset;
}

}  // namespace tidegate::electric::reading
