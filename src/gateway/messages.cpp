#include "tidegate/gateway/messages.h"

#include <fmt/format.h>

#include <array>
#include <cstddef>
#include <iterator>
#include <optional>

#include "core/detail/json_tree.h"
#include "gateway/detail/push_scanner.h"
#include "tidegate/core/json.h"

namespace tidegate {
namespace {

constexpr std::array<std::string_view, 3> kStatusNames{"accepted", "rejected", "backPressure"};
constexpr std::array<std::string_view, 14> kVerdictNames{
    "applied",     "duplicate",      "noEffect",        "notApplied",       "clockDrift",     "badId",    "wrongClient",
    "invalidName", "tooManyColumns", "duplicateColumn", "eraseWithColumns", "schemaMismatch", "tooLarge", "tooOld"};
static_assert(kVerdictNames.size() == static_cast<std::size_t>(Verdict::tooOld) + 1);

/// Appends `,"name":` (or `"name":` as the first member).
void appendMember(std::string_view name, std::string& out) {
  if (out.back() != '{') out += ',';
  out += '"';
  out += name;
  out += "\":";
}

void appendText(std::string_view name, std::string_view text, std::string& out) {
  appendMember(name, out);
  appendJsonString(text, out);
}

void appendHlc(std::string_view name, Hlc hlc, std::string& out) {
  appendMember(name, out);
  fmt::format_to(std::back_inserter(out), "\"{}\"", hlc.raw);
}

void appendCount(std::string_view name, std::size_t count, std::string& out) {
  appendMember(name, out);
  fmt::format_to(std::back_inserter(out), "{}", count);
}

void appendDeltas(const std::vector<RowDelta>& deltas, std::string& out) {
  appendMember("deltas", out);
  out += '[';
  for (std::size_t i = 0; i < deltas.size(); ++i) {
    if (i > 0) out += ',';
    appendJson(deltas[i], out);
  }
  out += ']';
}

void appendVerdicts(const std::vector<DeltaVerdict>& verdicts, std::string& out) {
  appendMember("verdicts", out);
  out += '[';
  for (std::size_t i = 0; i < verdicts.size(); ++i) {
    out += i > 0 ? ",{" : "{";
    appendText("verdict", toString(verdicts[i].verdict), out);
    if (!verdicts[i].message.empty()) appendText("message", verdicts[i].message, out);
    out += '}';
  }
  out += ']';
}

using detail::JsonRef;
using detail::JsonTree;

std::vector<RowDelta> readDeltas(const JsonRef& list) {
  std::vector<RowDelta> deltas;
  for (const JsonRef& item : list.items()) deltas.push_back(detail::readDelta(item));
  return deltas;
}

std::size_t countOr(const JsonRef& object, std::string_view name, std::size_t fallback) {
  const auto node = object.find(name);
  return node ? static_cast<std::size_t>(node->uint64()) : fallback;
}

std::string textOr(const JsonRef& object, std::string_view name) {
  const auto node = object.find(name);
  return node ? node->string() : std::string();
}

/// The enumerator whose wire name `node` holds.
template <class Enum, std::size_t N>
Enum readName(const JsonRef& node, const std::array<std::string_view, N>& names) {
  const std::string text = node.string();
  for (std::size_t i = 0; i < N; ++i) {
    if (names[i] == text) return static_cast<Enum>(i);
  }
  node.fail(fmt::format("expected one of {}", fmt::join(names, ", ")));
}

DeltaVerdict readVerdict(const JsonRef& node) {
  return {readName<Verdict>(node.member("verdict"), kVerdictNames), textOr(node, "message")};
}

}  // namespace

std::string_view toString(PushStatus status) noexcept {
  const auto i = static_cast<std::size_t>(status);
  return i < kStatusNames.size() ? kStatusNames[i] : "unknown";
}

std::string_view toString(Verdict verdict) noexcept {
  const auto i = static_cast<std::size_t>(verdict);
  return i < kVerdictNames.size() ? kVerdictNames[i] : "unknown";
}

std::string toJson(const SyncPush& push) {
  std::string out = "{";
  appendText("clientId", push.clientId, out);
  appendDeltas(push.deltas, out);
  appendHlc("lastSeenHlc", push.lastSeenHlc, out);
  return out + "}";
}

std::string toJson(const SyncPull& pull) {
  std::string out = "{";
  appendText("clientId", pull.clientId, out);
  appendHlc("sinceHlc", pull.sinceHlc, out);
  appendCount("maxDeltas", pull.maxDeltas, out);
  return out + "}";
}

std::string toJson(const PushResult& result) {
  std::string out = "{";
  appendHlc("serverHlc", result.serverHlc, out);
  appendCount("accepted", result.accepted(), out);
  appendText("status", toString(result.status), out);
  if (!result.message.empty()) appendText("message", result.message, out);
  appendCount("applied", result.applied, out);
  appendCount("duplicates", result.duplicates, out);
  appendCount("noEffect", result.noEffect, out);
  if (!result.verdicts.empty()) appendVerdicts(result.verdicts, out);
  return out + "}";
}

std::string toJson(const PullResult& result) {
  std::string out = "{";
  appendDeltas(result.deltas, out);
  appendHlc("serverHlc", result.serverHlc, out);
  appendMember("hasMore", out);
  out += result.hasMore ? "true" : "false";
  if (result.mustResync) {
    appendMember("mustResync", out);
    out += "true";
    appendText("reason", result.reason, out);
  }
  return out + "}";
}

SyncPush pushFromJson(std::string_view json) {
  if (auto plain = detail::scanPush(json)) return *std::move(plain);
  return detail::readPushTree(json);
}

SyncPush detail::readPushTree(std::string_view json) {
  const JsonTree tree(json, JsonTree::kMessageDepth);
  const JsonRef root = tree.root();
  SyncPush push;
  push.clientId = root.member("clientId").string();
  push.deltas = readDeltas(root.member("deltas"));
  if (const auto seen = root.find("lastSeenHlc")) push.lastSeenHlc = seen->hlc();
  return push;
}

SyncPull pullFromJson(std::string_view json) {
  const JsonTree tree(json, JsonTree::kMessageDepth);
  const JsonRef root = tree.root();
  SyncPull pull;
  pull.clientId = root.member("clientId").string();
  pull.sinceHlc = root.member("sinceHlc").hlc();
  pull.maxDeltas = countOr(root, "maxDeltas", pull.maxDeltas);
  return pull;
}

PushResult pushResultFromJson(std::string_view json) {
  const JsonTree tree(json, JsonTree::kMessageDepth);
  const JsonRef root = tree.root();
  PushResult result;
  result.serverHlc = root.member("serverHlc").hlc();
  if (const auto status = root.find("status")) result.status = readName<PushStatus>(*status, kStatusNames);
  result.message = textOr(root, "message");
  result.applied = countOr(root, "applied", 0);
  result.duplicates = countOr(root, "duplicates", 0);
  result.noEffect = countOr(root, "noEffect", 0);
  if (const auto verdicts = root.find("verdicts")) {
    for (const JsonRef& item : verdicts->items()) result.verdicts.push_back(readVerdict(item));
  }
  return result;
}

PullResult pullResultFromJson(std::string_view json) {
  const JsonTree tree(json, JsonTree::kMessageDepth);
  const JsonRef root = tree.root();
  PullResult result;
  result.deltas = readDeltas(root.member("deltas"));
  result.serverHlc = root.member("serverHlc").hlc();
  result.hasMore = root.member("hasMore").boolean();
  if (const auto resync = root.find("mustResync")) result.mustResync = resync->boolean();
  result.reason = textOr(root, "reason");
  return result;
}

}  // namespace tidegate
