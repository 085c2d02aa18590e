#include "kinesis/detail/baseline.h"

#include <fmt/format.h>

#include <algorithm>

#include "kinesis/detail/inflater.h"

namespace tidegate::kinesis::detail {
namespace {

constexpr std::size_t kManifestBytes = 16u << 20;
/// Of lines, after which a batch is handed over before it has all its rows.
constexpr std::size_t kBatchOctets = 4u << 20;
constexpr const char* kSuffixes[] = {".jsonl", ".jsonl.zst", ".jsonl.gz"};

bool isBlank(std::string_view line) { return line.find_first_not_of(" \t\r") == line.npos; }

Shape shapeFor(const TableSchema& schema, const Shapes& before) {
  const auto known = before.find(schema.table);
  return known != before.end() && known->second->schema == schema ? known->second : makeShape(schema);
}

}  // namespace

ObjectVersion TableObjects::version() const {
  ObjectVersion version;
  for (const ObjectHead& part : parts) {
    version.modifiedMillis = std::max(version.modifiedMillis, part.modifiedMillis);
    std::string tag = part.versionId.empty() ? part.etag : part.versionId;
    std::erase(tag, '"');
    version.tag += version.tag.empty() ? tag : "," + tag;
  }
  // Of very many parts only how they were pinned is told.
  if (version.tag.size() > 128) version.tag = sha256Hex(version.tag);
  return version;
}

std::string Snapshots::missingTable(const std::string& table) const {
  return fmt::format("there is no snapshot of table \"{}\": neither {} nor SourceOptions::tables describes it", table,
                     store_.nameOf(options_.prefix + options_.manifest));
}

Catalogue Snapshots::catalogue(http::Client& client, const std::stop_token& stop, const Shapes& before) {
  Catalogue catalogue;
  for (const TableSchema& schema : options_.tables) catalogue.shapes[schema.table] = shapeFor(schema, before);
  if (options_.manifest.empty()) return catalogue;
  const std::string key = options_.prefix + options_.manifest;
  const auto json = store_.get(client, key, kManifestBytes, stop);
  if (!json) return catalogue;
  try {
    catalogue.manifest = parseManifest(*json);
  } catch (const Error& e) {
    throw Error(ErrorCode::parseError, Retry::afterOperator,
                fmt::format("{} is no manifest: {}", store_.nameOf(key), e.message()));
  }
  catalogue.hasManifest = true;
  for (const ManifestTable& table : catalogue.manifest.tables) {
    catalogue.shapes[table.schema.table] = shapeFor(table.schema, before);
  }
  return catalogue;
}

TableObjects Snapshots::find(http::Client& client, const Catalogue& catalogue, const std::string& table,
                             const std::stop_token& stop) {
  const auto shape = catalogue.shapes.find(table);
  if (shape == catalogue.shapes.end()) throw Error(ErrorCode::tableNotFound, Retry::afterOperator, missingTable(table));
  TableObjects found{.shape = shape->second};
  const auto named = std::find_if(catalogue.manifest.tables.begin(), catalogue.manifest.tables.end(),
                                  [&](const ManifestTable& t) { return t.schema.table == table; });
  if (named != catalogue.manifest.tables.end() && !named->parts.empty()) {
    for (const ManifestPart& part : named->parts) {
      auto head = store_.head(client, options_.prefix + part.key, stop);
      if (!head) {
        throw Error(ErrorCode::tableNotFound, Retry::afterOperator,
                    fmt::format("the manifest names {} for table \"{}\", which is not there",
                                store_.nameOf(options_.prefix + part.key), table));
      }
      std::string etag = head->etag;
      std::erase(etag, '"');
      if (!part.etag.empty() && part.etag != etag && part.etag != head->etag) {
        throw Error(ErrorCode::queryFailed, Retry::later,
                    fmt::format("{} is another object than the manifest names: is a snapshot being written?",
                                store_.nameOf(options_.prefix + part.key)));
      }
      found.parts.push_back(std::move(*head));
    }
    return found;
  }
  for (const char* suffix : kSuffixes) {
    if (auto head = store_.head(client, options_.prefix + table + suffix, stop)) {
      found.parts.push_back(std::move(*head));
      return found;
    }
  }
  throw Error(ErrorCode::tableNotFound, Retry::afterOperator,
              fmt::format("there is no {} (nor .zst, .gz) for table \"{}\"",
                          store_.nameOf(options_.prefix + table + kSuffixes[0]), table));
}

bool Snapshots::readPart(http::Client& client, const TableObjects& table, const ObjectHead& part,
                         const Reading& reading, Filling& filling, const std::stop_token& stop) {
  Inflater inflater;
  LineCutter cutter(options_.maxLineBytes);
  RowDecoder decoder;
  std::vector<std::uint32_t> missing;
  std::uint64_t number = 0;
  bool going = true;
  const TableShape& shape = *table.shape;
  const auto onLine = [&](std::string_view line) {
    ++number;
    if (isBlank(line)) return true;
    ChangeEvent& event = filling.batch.addOver(ChangeOp::read, table.shape);
    event.transactionBegin = event.transactionEnd = true;
    decoder.decode(line, shape, event.after, missing);
    for (const std::uint32_t column : shape.key) {
      if (event.after[column].isNull()) {
        throw Error(ErrorCode::parseError, Retry::afterOperator,
                    fmt::format("key column \"{}\" is missing or null", (*shape.columns)[column]));
      }
    }
    event.position = reading.position;
    filling.octets += line.size();
    if (filling.batch.size() < reading.batchEvents && filling.octets < kBatchOctets) return true;
    filling.octets = 0;
    going = reading.offer(filling.batch);
    return going;
  };
  const Inflater::Take onPlain = [&](std::string_view piece) {
    if (going) cutter.push(piece, onLine);
  };
  try {
    const auto take = [&](std::string_view piece) {
      inflater.push(piece, onPlain);
      return going;
    };
    if (!store_.read(client, part, take, reading.onBroken, stop)) return false;
    inflater.finish(onPlain);
    if (going) cutter.finish(onLine);
  } catch (const Error& e) {
    if (e.code() != ErrorCode::parseError) throw;
    throw Error(ErrorCode::parseError, Retry::afterOperator,
                fmt::format("{}, line {}: {}", store_.nameOf(part.key), number, e.message()));
  }
  return going;
}

bool Snapshots::read(http::Client& client, const TableObjects& table, const Reading& reading,
                     const std::stop_token& stop) {
  Filling filling;
  for (const ObjectHead& part : table.parts) {
    if (!readPart(client, table, part, reading, filling, stop)) return false;
  }
  return filling.batch.empty() || reading.offer(filling.batch);
}

bool LineCutter::push(std::string_view piece, const OnLine& onLine) {
  bool going = true;
  if (!held_.empty()) {
    const std::size_t end = piece.find('\n');
    held_.append(piece.substr(0, end));
    piece.remove_prefix(end == piece.npos ? piece.size() : end + 1);
    if (end != piece.npos) {
      going = onLine(held_);
      held_.clear();
    }
  }
  // Most lines are whole within their piece, and are not copied.
  for (std::size_t end = piece.find('\n'); going && end != piece.npos; end = piece.find('\n')) {
    going = onLine(piece.substr(0, end));
    piece.remove_prefix(end + 1);
  }
  held_.append(piece);
  if (held_.size() > maxLineBytes_) {
    throw Error(ErrorCode::parseError, Retry::afterOperator,
                fmt::format("a line has over {} octets; see SourceOptions::maxLineBytes", maxLineBytes_));
  }
  return going;
}

bool LineCutter::finish(const OnLine& onLine) { return held_.empty() || onLine(held_); }

}  // namespace tidegate::kinesis::detail
