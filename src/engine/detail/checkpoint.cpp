#include "engine/detail/checkpoint.h"

#include "engine/detail/schema_json.h"
#include "tidegate/core/json.h"
#include "tidegate/source/sync_source.h"

namespace tidegate::detail {
namespace {

/// Sinks take checkpoints of up to 1 MiB; shapes are left out where they would not fit. A shape that is missing costs
/// no more than a check of the target at the table's next change.
constexpr std::size_t kMostShapesBytes = 768u << 10;

void appendPosition(const Position& position, const SyncSource& source, std::string& out) {
  if (position.empty())
    out += "null";
  else
    appendJsonString(source.positionToText(position), out);
}

std::string tablesJson(const Checkpoint& checkpoint, const SyncSource& source, bool withShapes) {
  std::string out = "{";
  const char* comma = "";
  for (const auto& [name, table] : checkpoint.tables) {
    out += comma;
    comma = ",";
    appendJsonString(name, out);
    out += ":{\"phase\":";
    appendJsonString(toString(table.phase), out);
    if (!table.from.empty()) {
      out += ",\"from\":";
      appendPosition(table.from, source, out);
    }
    if (table.shape && withShapes) {
      out += ",\"shape\":";
      appendSchemaJson(table.shape->schema, out);
    }
    out += '}';
  }
  out += "},\"hole\":";
  if (!checkpoint.hole) return out + "null";
  out += "{\"before\":";
  appendPosition(checkpoint.hole->before, source, out);
  out += ",\"tables\":[";
  comma = "";
  for (const std::string& table : checkpoint.hole->tables) {
    out += comma;
    comma = ",";
    appendJsonString(table, out);
  }
  return out + "]}";
}

Position readPosition(const JsonRef& node, const SyncSource& source) {
  return node.isNull() ? Position{} : source.positionFromText(node.string());
}

TablePhase readPhase(const JsonRef& node) {
  const std::string text = node.string();
  using enum TablePhase;
  for (const TablePhase phase : {wanted, copying, copied, carried, ready}) {
    if (toString(phase) == text) return phase;
  }
  node.fail("no phase is called \"" + text + "\"");
}

TableProgress readTable(const JsonRef& node, const SyncSource& source) {
  TableProgress table;
  table.phase = readPhase(node.member("phase"));
  if (const auto from = node.find("from")) table.from = readPosition(*from, source);
  if (const auto shape = node.find("shape")) table.shape = makeShape(readSchemaJson(*shape));
  return table;
}

}  // namespace

std::string_view toString(TablePhase phase) noexcept {
  switch (phase) {
    case TablePhase::wanted:
      return "wanted";
    case TablePhase::copying:
      return "copying";
    case TablePhase::copied:
      return "copied";
    case TablePhase::carried:
      return "carried";
    case TablePhase::ready:
      return "ready";
  }
  return "?";
}

std::string checkpointTablesJson(const Checkpoint& checkpoint, const SyncSource& source) {
  std::string whole = tablesJson(checkpoint, source, true);
  return whole.size() <= kMostShapesBytes ? whole : tablesJson(checkpoint, source, false);
}

std::string checkpointJson(const Checkpoint& checkpoint, std::string_view tables, const SyncSource& source) {
  std::string out = "{\"v\":1,\"n\":" + std::to_string(checkpoint.number) + ",\"source\":";
  appendJsonString(checkpoint.source, out);
  out += ",\"position\":";
  appendPosition(checkpoint.position, source, out);
  out += ",\"tables\":";
  out += tables;
  out += '}';
  return out;
}

Checkpoint readCheckpoint(std::string_view json, const SyncSource& source) {
  const JsonTree tree(json);
  const JsonRef root = tree.root();
  if (const auto version = root.member("v").uint64(); version != 1) {
    root.fail("the checkpoint has version " + std::to_string(version) + "; this engine reads version 1");
  }
  Checkpoint checkpoint;
  checkpoint.number = root.member("n").uint64();
  checkpoint.source = root.member("source").string();
  checkpoint.position = readPosition(root.member("position"), source);
  for (const JsonRef& table : root.member("tables").members()) {
    checkpoint.tables.emplace(table.key(), readTable(table, source));
  }
  const JsonRef hole = root.member("hole");
  if (!hole.isNull()) {
    Hole& made = checkpoint.hole.emplace();
    made.before = readPosition(hole.member("before"), source);
    for (const JsonRef& table : hole.member("tables").items()) made.tables.insert(table.string());
  }
  return checkpoint;
}

}  // namespace tidegate::detail
