#include <charconv>
#include <cstring>

#include "gateway/detail/prepared_push.h"
#include "gateway/detail/push_preparer.h"

namespace tidegate::detail {
namespace {

void writeScannedColumns(const ScannedDelta& delta, TextOut& out) {
  out.push_back('[');
  for (const ScannedColumn& column : delta.columns) {
    out.append(&column == delta.columns.data() ? "{\"column\":\"" : ",{\"column\":\"");
    out.append(column.column).append("\",\"value\":");
    if (column.isText) {
      out.append("\"").append(column.text).append("\"");
    } else {
      appendCanonicalValue(column.value, out);
    }
    out.push_back('}');
  }
  out.push_back(']');
}

constexpr std::size_t kCanonicalFrame = 100;  ///< octets of canonical JSON beside the texts

char* put(std::string_view text, char* to) {
  std::memcpy(to, text.data(), text.size());
  return to + text.size();
}

}  // namespace

// What was scanned holds nothing that canonical JSON would escape.
void writeCanonical(const ScannedDelta& delta, TextOut& out) {
  const std::size_t texts =
      delta.clientId.size() + delta.canonicalColumns.size() + delta.rowId.size() + delta.table.size();
  if (delta.canonicalColumns.empty()) {
    out.append("{\"clientId\":\"").append(delta.clientId).append("\",\"columns\":");
    writeScannedColumns(delta, out);
  }
  char* const from = out.room(texts + kCanonicalFrame);
  char* to = from;
  if (!delta.canonicalColumns.empty()) {
    to = put("{\"clientId\":\"", to);
    to = put(delta.clientId, to);
    to = put("\",\"columns\":", to);
    to = put(delta.canonicalColumns, to);
  }
  to = put(",\"hlc\":\"", to);
  to = std::to_chars(to, to + 20, delta.hlc.raw).ptr;
  to = put("\",\"rowId\":\"", to);
  to = put(delta.rowId, to);
  to = put("\",\"table\":\"", to);
  to = put(delta.table, to);
  to = put("\"}", to);
  out.wrote(static_cast<std::size_t>(to - from));
}

std::optional<std::string> prepareText(std::string_view json, const PushPolicy& policy, PreparedPush& prepared,
                                       PushResult& result) {
  prepared.clear();
  prepared.trusted = prepared.ingest = false;
  prepared.bounded = true;
  PushPreparer<ScannedDelta> preparer(policy, prepared, [](auto&&...) {});
  ScannedPush push;
  std::size_t count = 0;
  const bool sound = scanPush(json, push, [&](const ScannedDelta& delta) {
    return ++count <= policy.limits.maxDeltasPerPush && preparer.prepare(delta, push.clientId);
  });
  if (!sound || !preparer.finish()) return std::nullopt;
  if (!validText(push.clientId, policy.limits.maxClientIdBytes)) return std::nullopt;
  if (!policy.clock.acceptable(Hlc{prepared.greatestHlc})) return std::nullopt;
  result.verdicts.resize(count);
  return std::string(push.clientId);
}

}  // namespace tidegate::detail
