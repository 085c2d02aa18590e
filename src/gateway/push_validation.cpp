#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "core/detail/packed.h"
#include "gateway/detail/prepared_push.h"
#include "gateway/detail/schema_check.h"
#include "gateway/detail/seeded_hash.h"

namespace tidegate::detail {
namespace {

constexpr std::size_t kLinearNames = 24;

/// Equality of names, most of them short: the call of memcmp costs more than the comparison.
bool sameName(std::string_view a, std::string_view b) {
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
bool validText(std::string_view text, std::size_t maxBytes) {
  if (text.empty() || text.size() > maxBytes) return false;
  bool ascii = true;
  for (const char c : text) {
    if (c == 0) return false;
    ascii = ascii && static_cast<unsigned char>(c) < 0x80;
  }
  return ascii || isUtf8(text);
}

/// Goes through one push, delta by delta.
class Preparer {
 public:
  Preparer(const SyncPush& push, const PushPolicy& policy, PreparedPush& out, PushResult& result)
      : push_(push), policy_(policy), out_(out), result_(result) {}

  bool run() {
    const std::size_t count = push_.deltas.size();
    out_.deltas.reserve(count);
    if (!out_.trusted) out_.computedIds.reserve(count);
    result_.verdicts.resize(count);
    bool sound = true;
    for (std::size_t i = 0; i < count; ++i) sound = prepare(i) && sound;
    if (!sound) return false;
    return checkDrift();
  }

 private:
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
    return guess < out_.names.size() && sameName(out_.names[guess].text, text) ? guess : nameOf(text);
  }

  bool fault(std::size_t index, Verdict verdict, std::string message) {
    refuse(result_, push_.deltas.size(), index, verdict,
           fmt::format("{}: {}", describeDelta(index, push_.deltas[index]), message));
    return false;
  }

  bool prepare(std::size_t index) {
    const RowDelta& delta = push_.deltas[index];
    PreparedDelta prepared;
    prepared.delta = &delta;
    prepared.table = nameLike(lastTable_, delta.table);
    prepared.client = nameLike(lastClient_, delta.clientId);
    lastTable_ = prepared.table;
    lastClient_ = prepared.client;
    if (!checkHead(index, delta, prepared)) return false;
    prepared.rowHash = rowKeyHash(out_.names[prepared.table].hash, delta.rowId);
    prepared.firstColumn = static_cast<std::uint32_t>(out_.columns.size());
    prepared.columns = static_cast<std::uint32_t>(delta.columns.size());
    if (!prepareColumns(index, delta, prepared)) return false;
    if (!checkId(index, delta, prepared)) return false;
    out_.greatestHlc = std::max(out_.greatestHlc, delta.hlc.raw);
    out_.deltas.push_back(prepared);
    return true;
  }

  bool checkHead(std::size_t index, const RowDelta& delta, const PreparedDelta& prepared) {
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
    if (!out_.trusted && delta.clientId != push_.clientId) {
      return fault(
          index, Verdict::wrongClient,
          fmt::format("its clientId \"{}\" is not its sender's; stamp it with \"{}\"", delta.clientId, push_.clientId));
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

  bool prepareColumns(std::size_t index, const RowDelta& delta, const PreparedDelta& prepared) {
    std::size_t bytes = delta.table.size() + delta.rowId.size() + delta.clientId.size();
    const TableSchema* schema = schemaOf(prepared.table);
    const auto mark = static_cast<std::uint32_t>(index + 1);
    for (std::size_t i = 0; i < delta.columns.size(); ++i) {
      const ColumnValue& column = delta.columns[i];
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
        if (std::string problem = schemaProblem(*schema, column); !problem.empty()) {
          return fault(index, Verdict::schemaMismatch, problem);
        }
      }
      bytes += column.column.size() + valueBytes(column.value);
      to.offset = out_.arena.size();
      packValue(column.value, out_.arena);
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

  bool checkId(std::size_t index, const RowDelta& delta, PreparedDelta& prepared) {
    if (out_.trusted) {
      if (!delta.deltaId.isNull()) prepared.id = &delta.deltaId;
    } else {
      prepared.id = &out_.computedIds.emplace_back(computeDeltaId(delta));
      if (!delta.deltaId.isNull() && delta.deltaId != *prepared.id) {
        return fault(index, Verdict::badId, "its deltaId is not the hash of its content; compute it anew");
      }
    }
    if (prepared.id != nullptr) prepared.seen = seenKey(*prepared.id, delta.op);
    return true;
  }

  bool checkDrift() {
    if (policy_.clock.acceptable(Hlc{out_.greatestHlc})) return true;
    for (std::size_t i = 0; i < push_.deltas.size(); ++i) {
      if (policy_.clock.acceptable(push_.deltas[i].hlc)) continue;
      fault(i, Verdict::clockDrift,
            fmt::format("its stamp is over {} ms ahead of this gateway's clock; set the sender's clock",
                        policy_.clock.options().maxDrift.count()));
    }
    return result_.status == PushStatus::accepted;
  }

  const SyncPush& push_;
  const PushPolicy& policy_;
  PreparedPush& out_;
  PushResult& result_;
  std::uint32_t lastTable_ = UINT32_MAX, lastClient_ = UINT32_MAX;
  std::size_t lastFirstColumn_ = 0;
};

}  // namespace

void PreparedPush::clear() {
  names.clear();
  deltas.clear();
  columns.clear();
  computedIds.clear();
  arena.clear();
  manyNames.clear();
  greatestHlc = 0;
  payloadBytes = 0;
}

std::size_t PreparedPush::bytes() const noexcept {
  return names.capacity() * sizeof(PushName) + deltas.capacity() * sizeof(PreparedDelta) +
         columns.capacity() * sizeof(PreparedColumn) + computedIds.capacity() * sizeof(DeltaId) + arena.capacity();
}

std::string describeDelta(std::size_t index, const RowDelta& delta) {
  return fmt::format("delta {} (table {}, row {})", index, describe(Value(delta.table)), describe(Value(delta.rowId)));
}

void refuse(PushResult& result, std::size_t deltas, std::size_t faulty, Verdict verdict, const std::string& message) {
  if (result.status == PushStatus::accepted) {
    result.status = PushStatus::rejected;
    result.message = message;
    result.verdicts.assign(deltas, DeltaVerdict{Verdict::notApplied, {}});
  }
  result.verdicts[faulty] = {verdict, message};
}

bool preparePush(const SyncPush& push, PushContext context, const PushPolicy& policy, PreparedPush& prepared,
                 PushResult& result) {
  prepared.clear();
  prepared.trusted = context.trusted;
  prepared.ingest = context.ingest;
  prepared.bounded = context.notes == nullptr;
  const auto rejectWhole = [&](std::string message) {
    result.status = PushStatus::rejected;
    result.message = std::move(message);
    return false;
  };
  if (!validText(push.clientId, policy.limits.maxClientIdBytes)) {
    return rejectWhole(
        fmt::format("the push's clientId must be 1 to {} bytes of UTF-8 without NUL", policy.limits.maxClientIdBytes));
  }
  if (prepared.bounded && push.deltas.size() > policy.limits.maxDeltasPerPush) {
    return rejectWhole(fmt::format("{} deltas are over maxDeltasPerPush = {}; send them in several pushes",
                                   push.deltas.size(), policy.limits.maxDeltasPerPush));
  }
  return Preparer(push, policy, prepared, result).run();
}

}  // namespace tidegate::detail
