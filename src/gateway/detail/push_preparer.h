/// What checks and packs a push, whichever form its deltas come in.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "core/detail/json_write.h"
#include "core/detail/packed.h"
#include "core/detail/sha256_batch.h"
#include "gateway/detail/prepared_push.h"
#include "gateway/detail/push_scanner.h"
#include "gateway/detail/schema_check.h"
#include "gateway/detail/seeded_hash.h"

namespace tidegate::detail {

/// Equality of names, most of them short: the call of memcmp costs more than the comparison.
inline bool samePushName(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  if (a.size() < 8) {
    for (std::size_t i = 0; i < a.size(); ++i) {
      if (a[i] != b[i]) return false;
    }
    return true;
  }
  if (a.size() > 16) return a == b;
  std::uint64_t heads[2], tails[2];
  std::memcpy(&heads[0], a.data(), 8);
  std::memcpy(&heads[1], b.data(), 8);
  std::memcpy(&tails[0], a.data() + a.size() - 8, 8);
  std::memcpy(&tails[1], b.data() + b.size() - 8, 8);
  return heads[0] == heads[1] && tails[0] == tails[1];
}

/// Non-empty, bounded UTF-8 without NUL.
inline bool validText(std::string_view text, std::size_t maxBytes) {
  if (text.empty() || text.size() > maxBytes) return false;
  bool ascii = true;
  for (const char c : text) {
    if (c == 0) return false;
    ascii = ascii && static_cast<unsigned char>(c) < 0x80;
  }
  return ascii || isUtf8(text);
}

inline std::size_t columnBytes(const ColumnValue& column) { return valueBytes(column.value); }
inline std::size_t columnBytes(const ScannedColumn& column) {
  return column.isText ? column.text.size() : valueBytes(column.value);
}
inline void packColumn(const ColumnValue& column, std::string& out) { packValue(column.value, out); }
inline void packColumn(const ScannedColumn& column, std::string& out) {
  return column.isText ? packText(column.text, out) : packValue(column.value, out);
}
inline std::string problemOf(const TableSchema& schema, const ColumnValue& column) {
  return schemaProblem(schema, column);
}
inline std::string problemOf(const TableSchema& schema, const ScannedColumn& column) {
  return schemaProblem(schema, {std::string(column.column), valueOf(column)});
}
inline void writeCanonical(const RowDelta& delta, TextOut& out) { writeCanonicalDelta(delta, out); }

/// Goes through one push, delta by delta.
/// @tparam Delta `RowDelta`, or `ScannedDelta`.
template <class Delta>
class PushPreparer {
 public:
  using Fault = std::function<void(std::size_t index, Verdict verdict, std::string_view message)>;

  /// @param fault is told each, with the delta's place in the push.
  PushPreparer(const PushPolicy& policy, PreparedPush& out, Fault fault)
      : policy_(policy), out_(out), fault_(std::move(fault)) {}

  /// Checks and packs the next delta; its id may be looked at later. @return whether no fault was found in it.
  bool prepare(const Delta& delta, std::string_view sender) {
    const std::size_t index = next_++;
    PreparedDelta prepared;
    prepared.rowId = delta.rowId;
    prepared.hlc = delta.hlc.raw;
    prepared.op = delta.op;
    prepared.table = nameLike(lastTable_, delta.table);
    prepared.client = nameLike(lastClient_, delta.clientId);
    lastTable_ = prepared.table;
    lastClient_ = prepared.client;
    if (!checkHead(index, delta, prepared, sender)) return false;
    prepared.rowHash = rowKeyHash(out_.names[prepared.table].hash, delta.rowId);
    prepared.firstColumn = static_cast<std::uint32_t>(out_.columns.size());
    prepared.columns = static_cast<std::uint32_t>(delta.columns.size());
    if (!prepareColumns(index, delta, prepared)) return false;
    out_.greatestHlc = std::max(out_.greatestHlc, delta.hlc.raw);
    if (out_.trusted) return takeGivenId(delta, prepared);
    out_.deltas.push_back(prepared);
    askForId(index, delta);
    return ids_ < kIdsAtOnce || computeIds();
  }

  /// Once after the last delta. @return whether no fault was found in the ids that were not looked at yet.
  bool finish() {
    const bool sound = computeIds();
    // Only now, since the ids moved as they became more.
    if (!out_.trusted) {
      for (std::size_t i = 0; i < out_.deltas.size(); ++i) out_.deltas[i].id = &out_.computedIds[i];
    }
    return sound;
  }

 private:
  static constexpr std::size_t kLinearNames = 24;
  static constexpr std::size_t kIdsAtOnce = 32;  ///< their canonical JSON stays in the nearest cache

  std::uint32_t nameOf(std::string_view text) {
    if (out_.names.size() <= kLinearNames) {
      for (std::uint32_t i = 0; i < out_.names.size(); ++i) {
        if (out_.names[i].text == text) return i;
      }
    } else if (const auto found = out_.manyNames.find(text); found != out_.manyNames.end()) {
      return found->second;
    }
    return addName(text);
  }

  std::uint32_t addName(std::string_view text) {
    const auto place = static_cast<std::uint32_t>(out_.names.size());
    PushName& name = out_.names.emplace_back();
    name.text = text;
    name.hash = seededHash(text, policy_.hashSeed);
    name.validName = validText(text, policy_.limits.maxNameBytes);
    name.validClient = validText(text, policy_.limits.maxClientIdBytes);
    if (out_.names.size() == kLinearNames + 1) {
      for (std::uint32_t i = 0; i < place; ++i) out_.manyNames.emplace(out_.names[i].text, i);
    }
    if (out_.names.size() > kLinearNames) out_.manyNames.emplace(text, place);
    return place;
  }

  /// The name of `text`, which is most often the one that stood in this place of the delta before.
  std::uint32_t nameLike(std::uint32_t guess, std::string_view text) {
    return guess < out_.names.size() && samePushName(out_.names[guess].text, text) ? guess : nameOf(text);
  }

  bool fault(std::size_t index, Verdict verdict, std::string_view message) {
    fault_(index, verdict, message);
    return false;
  }

  bool checkHead(std::size_t index, const Delta& delta, const PreparedDelta& prepared, std::string_view sender) {
    const GatewayLimits& limits = policy_.limits;
    if (!out_.names[prepared.table].validName) {
      return fault(index, Verdict::invalidName,
                   fmt::format("the table name must be 1 to {} bytes of UTF-8 without NUL", limits.maxNameBytes));
    }
    if (!validText(delta.rowId, limits.maxRowIdBytes)) {
      return fault(index, Verdict::invalidName,
                   fmt::format("the row id must be 1 to {} bytes of UTF-8 without NUL", limits.maxRowIdBytes));
    }
    if (!out_.names[prepared.client].validClient) {
      return fault(index, Verdict::invalidName,
                   fmt::format("the client id must be 1 to {} bytes of UTF-8 without NUL", limits.maxClientIdBytes));
    }
    if (!out_.trusted && delta.clientId != sender) {
      return fault(
          index, Verdict::wrongClient,
          fmt::format("its clientId \"{}\" is not its sender's; stamp it with \"{}\"", delta.clientId, sender));
    }
    if (static_cast<std::uint8_t>(delta.op) > 2) return fault(index, Verdict::badId, "its op is none of the three");
    if (delta.op == DeltaOp::erase && !delta.columns.empty()) {
      return fault(index, Verdict::eraseWithColumns, "an erase has no columns; send them as an update or drop them");
    }
    if (delta.columns.size() > limits.maxColumnsPerDelta) {
      return fault(index, Verdict::tooManyColumns,
                   fmt::format("{} columns are over maxColumnsPerDelta = {}; split it", delta.columns.size(),
                               limits.maxColumnsPerDelta));
    }
    return true;
  }

  bool prepareColumns(std::size_t index, const Delta& delta, const PreparedDelta& prepared) {
    std::size_t bytes = delta.table.size() + delta.rowId.size() + delta.clientId.size();
    const TableSchema* schema = schemaOf(prepared.table);
    const auto mark = static_cast<std::uint32_t>(index + 1);
    for (std::size_t i = 0; i < delta.columns.size(); ++i) {
      const auto& column = delta.columns[i];
      const std::size_t guess = lastFirstColumn_ + i;
      PreparedColumn to;
      to.name = nameLike(guess < out_.columns.size() ? out_.columns[guess].name : 0, column.column);
      PushName& name = out_.names[to.name];
      if (!name.validName) {
        return fault(
            index, Verdict::invalidName,
            fmt::format("column {}'s name must be 1 to {} bytes of UTF-8 without NUL", i, policy_.limits.maxNameBytes));
      }
      if (std::exchange(name.lastUse, mark) == mark) {
        return fault(index, Verdict::duplicateColumn, fmt::format("column \"{}\" appears twice", column.column));
      }
      if (schema != nullptr) {
        if (std::string problem = problemOf(*schema, column); !problem.empty()) {
          return fault(index, Verdict::schemaMismatch, problem);
        }
      }
      bytes += column.column.size() + columnBytes(column);
      to.offset = out_.arena.size();
      packColumn(column, out_.arena);
      to.size = static_cast<std::uint32_t>(out_.arena.size() - to.offset);
      out_.columns.push_back(to);
      if (bytes > policy_.limits.maxDeltaBytes) break;
    }
    lastFirstColumn_ = prepared.firstColumn;
    return checkSize(index, bytes);
  }

  bool checkSize(std::size_t index, std::size_t bytes) {
    const GatewayLimits& limits = policy_.limits;
    if (bytes > limits.maxDeltaBytes) {
      return fault(index, Verdict::tooLarge,
                   fmt::format("it is over maxDeltaBytes = {}; split its columns", limits.maxDeltaBytes));
    }
    out_.payloadBytes += bytes;
    if (out_.bounded && out_.payloadBytes > limits.maxPushBytes) {
      return fault(index, Verdict::tooLarge,
                   fmt::format("with it the push is over maxPushBytes = {}; send fewer deltas", limits.maxPushBytes));
    }
    return true;
  }

  const TableSchema* schemaOf(std::uint32_t table) {
    if (policy_.schemas.empty()) return nullptr;
    PushName& name = out_.names[table];
    if (!std::exchange(name.schemaLooked, true)) {
      for (const TableSchema& schema : policy_.schemas) {
        if (schema.table == name.text) name.schema = &schema;
      }
    }
    return name.schema;
  }

  /// A trusted sender's, which stays where it is.
  bool takeGivenId(const Delta& delta, PreparedDelta& prepared) {
    if (!delta.deltaId.isNull()) {
      prepared.id = &delta.deltaId;
      prepared.seen = seenKey(delta.deltaId, delta.op);
    }
    out_.deltas.push_back(prepared);
    return true;
  }

  void askForId(std::size_t index, const Delta& delta) {
    writeCanonical(delta, out_.canonical);
    asked_[ids_++] = {index, out_.canonical.view().size(), delta.deltaId};
  }

  /// The ids of the deltas asked for, which are the last of `out_.deltas`.
  bool computeIds() {
    std::array<std::string_view, kIdsAtOnce> texts;
    std::size_t from = 0;
    for (std::size_t i = 0; i < ids_; from = asked_[i++].end) {
      texts[i] = out_.canonical.view().substr(from, asked_[i].end - from);
    }
    std::array<Sha256, kIdsAtOnce> digests;
    sha256Each({texts.data(), ids_}, digests.data());
    bool sound = true;
    const std::size_t first = out_.deltas.size() - ids_;
    for (std::size_t i = 0; i < ids_; ++i) {
      const DeltaId& id = out_.computedIds.emplace_back(DeltaId{digests[i]});
      PreparedDelta& prepared = out_.deltas[first + i];
      prepared.seen = seenKey(id, prepared.op);
      if (asked_[i].given.isNull() || asked_[i].given == id) continue;
      sound = fault(asked_[i].index, Verdict::badId, "its deltaId is not the hash of its content; compute it anew");
    }
    ids_ = 0;
    out_.canonical.clear();
    return sound;
  }

  /// A delta whose id is yet to be computed.
  struct Asked {
    std::size_t index = 0;
    std::size_t end = 0;  ///< of its canonical JSON
    DeltaId given{};
  };

  const PushPolicy& policy_;
  PreparedPush& out_;
  const Fault fault_;
  std::size_t next_ = 0;
  std::uint32_t lastTable_ = UINT32_MAX, lastClient_ = UINT32_MAX;
  std::size_t lastFirstColumn_ = 0;
  std::array<Asked, kIdsAtOnce> asked_{};
  std::size_t ids_ = 0;
};

}  // namespace tidegate::detail
