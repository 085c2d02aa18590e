#include "nats/detail/control_record.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "core/detail/json_tree.h"
#include "core/detail/octet_text.h"
#include "tidegate/core/delta.h"
#include "tidegate/core/json.h"

namespace tidegate::nats::detail {
namespace {

using tidegate::detail::JsonRef;
using tidegate::detail::JsonTree;

constexpr std::uint64_t kMostParts = 1u << 16;
/// The server's bound on names, and names of files.
constexpr std::size_t kMostNameBytes = 200;

void appendMember(std::string_view name, std::string_view json, std::string& out) {
  if (out.back() != '{') out.push_back(',');
  appendJsonString(name, out);
  out.append(":").append(json);
}

std::string quotedText(std::string_view text) {
  std::string out;
  appendJsonString(text, out);
  return out;
}

std::string runsJson(const std::vector<Run>& runs) {
  std::string out = "[";
  for (const auto& [first, last] : runs) out += fmt::format("{}[{},{}]", out.size() > 1 ? "," : "", first, last);
  return out + "]";
}

std::vector<Run> runsFrom(const JsonRef& list) {
  std::vector<Run> runs;
  for (const JsonRef& run : list.items()) {
    const auto both = run.items();
    if (both.size() != 2) run.fail("expected first and last");
    runs.emplace_back(both[0].uint64(), both[1].uint64());
    const bool grows = runs.back().first <= runs.back().second && runs.back().first > 0 &&
                       (runs.size() == 1 || runs[runs.size() - 2].second < runs.back().first);
    if (!grows) run.fail("runs must grow");
  }
  return runs;
}

std::string boundedName(const std::string& prefix, const std::string& pipeline) {
  const std::string token = subjectToken(pipeline);
  if (token.size() <= kMostNameBytes) return prefix + token;
  const auto digest = sha256(pipeline);
  return prefix + token.substr(0, 100) + "-" +
         tidegate::detail::hexOf(std::string_view(reinterpret_cast<const char*>(digest.data()), 16));
}

}  // namespace

std::string controlJson(const ControlRecord& record) {
  std::string out = "{";
  appendMember("v", "1", out);
  appendMember("kind", record.claim ? R"("claim")" : R"("commit")", out);
  appendMember("epoch", std::to_string(record.epoch), out);
  appendMember("unit", std::to_string(record.unit), out);
  if (!record.claim) appendMember("runs", runsJson(record.runs), out);
  if (record.checkpoint) appendMember("checkpoint", quotedText(*record.checkpoint), out);
  if (record.shapesAt != 0) {
    appendMember("shapesAt", std::to_string(record.shapesAt), out);
    return out + "}";
  }
  std::string shapes = "{", tables = "{";
  for (const auto& [name, shape] : record.shapes) appendMember(name, shapeJson(*shape), shapes);
  for (const auto& [table, name] : record.tables) appendMember(table, quotedText(name), tables);
  appendMember("shapes", shapes + "}", out);
  appendMember("tables", tables + "}", out);
  return out + "}";
}

ControlRecord controlFrom(std::string_view json) {
  const JsonTree tree(json);
  const JsonRef root = tree.root();
  if (root.member("v").uint64() != 1) root.member("v").fail("written by a later version: read it with that");
  ControlRecord record{.epoch = root.member("epoch").uint64(), .unit = root.member("unit").uint64()};
  const std::string kind = root.member("kind").string();
  record.claim = kind == kClaim;
  if (!record.claim && kind != kCommit) root.member("kind").fail("expected \"claim\" or \"commit\"");
  if (!record.claim) record.runs = runsFrom(root.member("runs"));
  if (const auto checkpoint = root.find("checkpoint")) record.checkpoint = checkpoint->string();
  if (const auto at = root.find("shapesAt")) {
    record.shapesAt = at->uint64();
    if (record.shapesAt == 0) at->fail("expected a sequence");
    return record;
  }
  for (const JsonRef& shape : root.member("shapes").members()) {
    record.shapes[shape.key()] = shapeFromJson(shape.source());
  }
  for (const JsonRef& table : root.member("tables").members()) record.tables[table.key()] = table.string();
  return record;
}

void addToRuns(std::vector<Run>& runs, std::uint64_t sequence) {
  if (!runs.empty() && runs.back().second + 1 == sequence)
    runs.back().second = sequence;
  else
    runs.emplace_back(sequence, sequence);
}

bool inRuns(const std::vector<Run>& runs, std::uint64_t sequence) noexcept {
  return std::any_of(runs.begin(), runs.end(),
                     [&](const Run& run) { return run.first <= sequence && sequence <= run.second; });
}

StreamNames namesFor(const std::string& stream, const std::string& prefix, const std::string& pipeline) {
  return {.stream = stream.empty() ? boundedName("TIDEGATE_", pipeline) : stream,
          .prefix = prefix.empty() ? boundedName("tidegate.", pipeline) : prefix};
}

bool partFrom(std::string_view text, PartOf& out) noexcept {
  out = {};
  if (text.empty()) return true;
  const char *at = text.data(), *end = at + text.size();
  auto read = std::from_chars(at, end, out.number);
  if (read.ec != std::errc() || read.ptr == end || *read.ptr != '/') return false;
  read = std::from_chars(read.ptr + 1, end, out.count);
  return read.ec == std::errc() && read.ptr == end && out.number > 0 && out.number <= out.count &&
         out.count <= kMostParts;
}

void appendParts(OutMessage message, std::size_t bytes, std::vector<OutMessage>& out) {
  if (message.body.size() <= bytes) {
    out.push_back(std::move(message));
    return;
  }
  const std::size_t count = (message.body.size() + bytes - 1) / bytes;
  const std::size_t mark = std::min(message.mark.find(' '), message.mark.size());
  for (std::size_t i = 0; i < count; ++i) {
    OutMessage& part = out.emplace_back();
    part.subject = message.subject;
    part.headers = message.headers;
    part.headers.push_back({kPartHeader, fmt::format("{}/{}", i + 1, count)});
    part.mark = message.mark;
    part.mark.insert(mark, fmt::format(".{}", i + 1));
    part.body = message.body.substr(i * bytes, bytes);
  }
}

std::optional<std::string> wholeBody(JetStream& js, const std::string& stream, Stored lastPart,
                                     const std::stop_token& stop) {
  PartOf part;
  if (!partFrom(lastPart.header(kPartHeader), part) || part.number != part.count || part.count > lastPart.sequence) {
    throw Error(
        ErrorCode::parseError, Retry::never,
        fmt::format("message {} of stream \"{}\": {}: expected the last part", lastPart.sequence, stream, kPartHeader));
  }
  if (part.count == 1) return std::move(lastPart.body);
  std::string whole;
  for (std::uint64_t at = lastPart.sequence - part.count + 1; at < lastPart.sequence; ++at) {
    const auto stored = js.get(stream, at, stop);
    if (!stored) return std::nullopt;
    whole += stored->body;
  }
  return whole + lastPart.body;
}

std::optional<ControlRecord> controlAt(JetStream& js, const std::string& stream, std::uint64_t sequence,
                                       const std::stop_token& stop) {
  auto stored = js.get(stream, sequence, stop);
  if (!stored) return std::nullopt;
  const auto body = wholeBody(js, stream, *std::move(stored), stop);
  return body ? std::optional(controlFrom(*body)) : std::nullopt;
}

std::optional<FoundControl> nextControl(JetStream& js, const StreamNames& names, std::uint64_t from,
                                        const std::stop_token& stop) {
  while (auto stored = js.next(names.stream, names.control(), from, stop)) {
    const std::uint64_t sequence = stored->sequence;
    PartOf part;
    if (partFrom(stored->header(kPartHeader), part) && part.number < part.count) {
      from = sequence + 1;
      continue;
    }
    const auto body = wholeBody(js, names.stream, *std::move(stored), stop);
    if (body) return FoundControl{controlFrom(*body), sequence};
    from = sequence + 1;
  }
  return std::nullopt;
}

std::optional<FoundControl> lastControl(JetStream& js, const StreamNames& names, const std::stop_token& stop) {
  auto stored = js.last(names.stream, names.control(), stop);
  std::uint64_t before = stored ? stored->sequence : 0;
  // Behind the last whole one may stand parts of one that was never finished.
  while (stored) {
    PartOf part;
    if (!partFrom(stored->header(kPartHeader), part) || part.number == part.count) break;
    before -= part.number;
    stored.reset();
    while (before > 0 && !stored) {
      stored = js.get(names.stream, before, stop);
      if (!stored) return std::nullopt;
      if (stored->subject != names.control()) stored.reset();
      before -= stored ? 0 : 1;
    }
  }
  if (!stored) return std::nullopt;
  FoundControl found{.sequence = stored->sequence};
  const auto body = wholeBody(js, names.stream, *std::move(stored), stop);
  if (!body) return std::nullopt;
  found.record = controlFrom(*body);
  if (found.record.shapesAt == 0) return found;
  if (auto full = controlAt(js, names.stream, found.record.shapesAt, stop)) {
    found.record.shapes = std::move(full->shapes);
    found.record.tables = std::move(full->tables);
  }
  return found;
}

}  // namespace tidegate::nats::detail
