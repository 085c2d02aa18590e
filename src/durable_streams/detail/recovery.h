/// Reads a folder of segments into a store.
#pragma once

#include "durable_streams/detail/journal.h"
#include "durable_streams/detail/store_core.h"
#include "tidegate/durable_streams/file_store.h"

namespace tidegate::durable_streams::detail {

/// Fills `core` and lets `journal` go on behind what is there. Cuts off a last commit that is not whole.
/// @throws Error{storeCorrupt} naming file and offset; Error{invalidConfig} for a newer format.
RecoveryReport recover(Journal& journal, StoreCore& core);

/// Calls `visit(batch records, offset of the records in the file, commit)` for each whole batch of a segment.
/// @return where the first octets stand that are no whole batch; the file's size where all are.
std::uint64_t forEachBatch(const File& file, std::uint64_t seed,
                           const std::function<void(std::string_view, std::uint64_t, std::uint64_t)>& visit);

}  // namespace tidegate::durable_streams::detail
