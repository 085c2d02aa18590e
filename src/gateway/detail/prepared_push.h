/// A push checked and packed before any lock is taken: what remains is looking up, merging and copying octets.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/detail/text_out.h"
#include "gateway/detail/dedupe_window.h"
#include "gateway/detail/name_table.h"
#include "tidegate/core/hlc.h"
#include "tidegate/core/schema.h"
#include "tidegate/gateway/gateway.h"
#include "tidegate/gateway/messages.h"

namespace tidegate::detail {

/// A name of the push, once.
struct PushName {
  std::string_view text;
  std::uint64_t hash = 0;     ///< seeds the row keys of a table
  NameId id = kNoName;        ///< its number in the gateway, filled under the lock
  std::uint32_t lastUse = 0;  ///< delta that used it last as a column, plus 1: finds repeated columns
  bool validName = false;     ///< fit for a table or column
  bool validClient = false;
  bool schemaLooked = false;
  const TableSchema* schema = nullptr;
};

struct PreparedColumn {
  std::uint32_t name = 0;    ///< place in `names`
  std::uint32_t size = 0;    ///< of the packed value
  std::uint64_t offset = 0;  ///< in `arena`
};

/// Its texts are views of what was pushed, which outlives it.
struct PreparedDelta {
  std::string_view rowId{};
  std::uint64_t hlc = 0;
  std::uint64_t rowHash = 0;
  DeltaOp op = DeltaOp::update;
  std::uint32_t table = 0;  ///< place in `names`
  std::uint32_t client = 0;
  std::uint32_t firstColumn = 0;
  std::uint32_t columns = 0;
  const DeltaId* id = nullptr;  ///< null where unknown
  SeenKey seen;                 ///< valid where `id` is
};

/// The settings a push is judged by.
struct PushPolicy {
  const GatewayLimits& limits;
  const std::vector<TableSchema>& schemas;
  const HlcClock& clock;
  std::uint64_t hashSeed;
};

/// Capacity is reused from push to push.
struct PreparedPush {
  std::vector<PushName> names;
  std::vector<PreparedDelta> deltas;
  std::vector<PreparedColumn> columns;
  std::vector<DeltaId> computedIds;
  std::string arena;  ///< packed values
  TextOut canonical;  ///< canonical JSON of deltas whose ids are computed next
  std::uint64_t greatestHlc = 0;
  std::size_t payloadBytes = 0;
  bool trusted = false;
  bool ingest = false;
  bool bounded = true;  ///< by maxDeltasPerPush and maxPushBytes

  void clear();
  std::size_t bytes() const noexcept;

  std::unordered_map<std::string_view, std::uint32_t> manyNames;  ///< places, once a linear search would be slow
};

/// Checks every delta and packs it. On a fault `result` says rejected, with a verdict per delta.
/// @return whether the push may go on.
bool preparePush(const SyncPush& push, PushContext context, const PushPolicy& policy, PreparedPush& prepared,
                 PushResult& result);

/// The same of a stranger's push as it stands in its JSON, in one pass.
/// @return its sender; nullopt where it is not written plainly or has a fault: `preparePush` of what `pushFromJson`
///         reads then says which.
std::optional<std::string> prepareText(std::string_view json, const PushPolicy& policy, PreparedPush& prepared,
                                       PushResult& result);

/// "delta 3 (table \"users\", row \"7\")", for messages.
std::string describeDelta(std::size_t index, std::string_view table, std::string_view rowId);
/// Turns a result into a refusal: the fault's verdict, `notApplied` for the others.
void refuse(PushResult& result, std::size_t deltas, std::size_t faulty, Verdict verdict, const std::string& message);

}  // namespace tidegate::detail
