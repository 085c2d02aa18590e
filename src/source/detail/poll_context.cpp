#include "source/detail/poll_context.h"

#include <fmt/format.h>

namespace tidegate::detail {
namespace {

[[noreturn]] void refused(const PushResult& result) {
  if (result.status == PushStatus::backPressure) {
    throw Error(
        ErrorCode::backPressure, Retry::later,
        fmt::format("the gateway took nothing: {}; the cursor stays and the next poll tries again", result.message));
  }
  bool drift = false;
  for (const DeltaVerdict& v : result.verdicts) drift = drift || v.verdict == Verdict::clockDrift;
  throw Error(drift ? ErrorCode::clockDrift : ErrorCode::invalidArgument, drift ? Retry::later : Retry::afterOperator,
              fmt::format("the gateway refused the rows: {}; nothing was taken and the cursor stays", result.message));
}

}  // namespace

void pushAccepted(const PollContext& context, SyncPush& push, TableReport& report) {
  if (push.deltas.empty()) return;
  const Hlc first = context.stamps.reserve(push.deltas.size());
  for (std::size_t i = 0; i < push.deltas.size(); ++i) push.deltas[i].hlc = Hlc{first.raw + i};
  const PushResult result = context.push(push, PushContext{.trusted = true, .ingest = true});
  if (result.status != PushStatus::accepted) refused(result);
  for (const RowDelta& delta : push.deltas) {
    if (delta.op == DeltaOp::insert)
      ++report.inserts;
    else if (delta.op == DeltaOp::update)
      ++report.updates;
    else
      ++report.erases;
  }
  report.applied += result.applied;
  report.duplicates += result.duplicates + result.noEffect;
}

}  // namespace tidegate::detail
