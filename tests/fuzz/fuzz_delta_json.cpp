/// Deltas and messages from JSON: nothing but a parseError for bad input, and what is read is written the same again.
#include <string>

#include "core/detail/json_tree.h"
#include "fuzz/check.h"
#include "tidegate/core/conflict.h"
#include "tidegate/core/json.h"
#include "tidegate/gateway/gateway.h"
#include "tidegate/gateway/messages.h"

namespace tidegate::fuzz {
namespace {

/// Reads, writes, reads and writes again: both writings must agree.
template <class Read>
void thereAndBack(std::string_view json, const Read& read) {
  takes(ErrorCode::parseError, [&] {
    const std::string once = toJson(read(json));
    bool taken = takes(ErrorCode::parseError, [&] { FUZZ_CHECK(toJson(read(once)) == once); });
    FUZZ_CHECK(taken);
  });
}

void canonicalFormIsJsonAndStable(const RowDelta& delta) {
  std::string canonical;
  appendCanonicalJson(delta, canonical);
  const bool isJson = detail::JsonTree::tryParse(canonical, detail::JsonTree::kMessageDepth).has_value();
  FUZZ_CHECK(isJson);
  // canonicalJson itself takes a document of kMaxJsonDepth; a delta around a value of full depth is deeper.
  takes(ErrorCode::parseError, [&] { FUZZ_CHECK(canonicalJson(canonical) == canonical); });
  FUZZ_CHECK(DeltaId::parse(computeDeltaId(delta).hex()) == computeDeltaId(delta));
}

void mergingTwiceIsMergingOnce(const RowDelta& delta) {
  RowState once;
  merge(once, delta);
  RowState twice = once;
  FUZZ_CHECK(!merge(twice, delta).stateChanged);
  FUZZ_CHECK(twice == once);
}

/// Straight from its octets a push ends as it does when it is read first.
void pushedBothWays(std::string_view json) {
  takes(ErrorCode::parseError, [&] {
    const SyncPush push = pushFromJson(json);
    if (push.deltas.empty()) return;
    Gateway straight, read;
    const PushResult one = straight.handlePushJson(json, [](std::string_view) {});
    const PushResult other = read.handlePush(push);
    FUZZ_CHECK(one.status == other.status && one.message == other.message);
    FUZZ_CHECK(one.applied == other.applied && one.duplicates == other.duplicates && one.noEffect == other.noEffect);
    FUZZ_CHECK(straight.handlePull({"r", {}, 10'000}).deltas == read.handlePull({"r", {}, 10'000}).deltas);
  });
}

}  // namespace
}  // namespace tidegate::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tidegate;
  const std::string_view json = fuzz::textOf(data, size);
  fuzz::takes(ErrorCode::parseError, [&] {
    const RowDelta delta = deltaFromJson(json);
    fuzz::canonicalFormIsJsonAndStable(delta);
    fuzz::mergingTwiceIsMergingOnce(delta);
  });
  fuzz::thereAndBack(json, deltaFromJson);
  fuzz::thereAndBack(json, pushFromJson);
  fuzz::pushedBothWays(json);
  fuzz::thereAndBack(json, pullFromJson);
  fuzz::thereAndBack(json, pushResultFromJson);
  fuzz::thereAndBack(json, pullResultFromJson);
  return 0;
}
