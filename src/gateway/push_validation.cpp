#include <fmt/format.h>

#include "gateway/detail/prepared_push.h"
#include "gateway/detail/push_preparer.h"

namespace tidegate::detail {
namespace {

/// A push is told of its first fault, and ids are looked at later than all else.
void tellFirstFault(PushResult& result) {
  const auto first = std::find_if(result.verdicts.begin(), result.verdicts.end(),
                                  [](const DeltaVerdict& v) { return v.verdict != Verdict::notApplied; });
  if (first != result.verdicts.end()) result.message = first->message;
}

/// @return whether no stamp is too far ahead.
template <class Fault>
bool checkDrift(const SyncPush& push, const PushPolicy& policy, std::uint64_t greatestHlc, const Fault& fault) {
  if (policy.clock.acceptable(Hlc{greatestHlc})) return true;
  bool sound = true;
  for (std::size_t i = 0; i < push.deltas.size(); ++i) {
    if (policy.clock.acceptable(push.deltas[i].hlc)) continue;
    sound = false;
    fault(i, Verdict::clockDrift,
          fmt::format("its stamp is over {} ms ahead of this gateway's clock; set the sender's clock",
                      policy.clock.options().maxDrift.count()));
  }
  return sound;
}

}  // namespace

void PreparedPush::clear() {
  names.clear();
  deltas.clear();
  columns.clear();
  computedIds.clear();
  arena.clear();
  canonical.clear();
  manyNames.clear();
  greatestHlc = 0;
  payloadBytes = 0;
}

std::size_t PreparedPush::bytes() const noexcept {
  return names.capacity() * sizeof(PushName) + deltas.capacity() * sizeof(PreparedDelta) +
         columns.capacity() * sizeof(PreparedColumn) + computedIds.capacity() * sizeof(DeltaId) + arena.capacity() +
         canonical.capacity();
}

std::string describeDelta(std::size_t index, std::string_view table, std::string_view rowId) {
  return fmt::format("delta {} (table {}, row {})", index, describe(Value(std::string(table))),
                     describe(Value(std::string(rowId))));
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
  const std::size_t count = push.deltas.size();
  const auto rejectWhole = [&](std::string message) {
    result.status = PushStatus::rejected;
    result.message = std::move(message);
    return false;
  };
  if (!validText(push.clientId, policy.limits.maxClientIdBytes)) {
    return rejectWhole(
        fmt::format("the push's clientId must be 1 to {} bytes of UTF-8 without NUL", policy.limits.maxClientIdBytes));
  }
  if (prepared.bounded && count > policy.limits.maxDeltasPerPush) {
    return rejectWhole(fmt::format("{} deltas are over maxDeltasPerPush = {}; send them in several pushes", count,
                                   policy.limits.maxDeltasPerPush));
  }
  const auto fault = [&](std::size_t index, Verdict verdict, std::string_view message) {
    const RowDelta& delta = push.deltas[index];
    refuse(result, count, index, verdict,
           fmt::format("{}: {}", describeDelta(index, delta.table, delta.rowId), message));
  };
  prepared.deltas.reserve(count);
  if (!prepared.trusted) prepared.computedIds.reserve(count);
  result.verdicts.resize(count);
  PushPreparer<RowDelta> preparer(policy, prepared, fault);
  bool sound = true;
  for (const RowDelta& delta : push.deltas) sound = preparer.prepare(delta, push.clientId) && sound;
  sound = preparer.finish() && sound;
  if (sound) return checkDrift(push, policy, prepared.greatestHlc, fault);
  tellFirstFault(result);
  return false;
}

}  // namespace tidegate::detail
