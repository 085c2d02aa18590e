/// The octets of store segments (docs/formats.md): each can be read alone, for it spells the names it uses, and each
/// carries its own checksum.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/detail/name_set.h"
#include "gateway/detail/name_table.h"
#include "tidegate/gateway/store.h"

namespace tidegate::detail {

/// The gateway's durable facts that are neither rows nor log.
struct GatewayMeta {
  std::uint64_t head = 0;
  std::uint64_t clockLast = 0;
  std::uint64_t trimmedTo = 0;
  std::uint64_t rulesEpoch = 0;
  std::uint64_t resyncBefore = 0;
  std::uint64_t tombstonesPurgedTo = 0;
  std::uint64_t purgedStamp = 0;
  std::string rulesFingerprint;
  struct Purge {
    std::string table;
    std::uint64_t at = 0;
    std::uint64_t lastRowsSegment = 0;
  };
  std::vector<Purge> purged;
};

/// Starts a segment: version, kind, and for log and rows the names.
void beginSegment(SegmentKind kind, std::string& out);
void putNames(const NameSet& used, const NameTable& names, std::string& out);
/// Ends it with its checksum.
void endSegment(std::string& out);
/// The payload between `beginSegment` and `endSegment`. @throws Error{storeCorrupt} naming the segment.
std::string_view openSegment(SegmentRef ref, std::string_view octets);
/// Puts the names of a segment back. @return what follows them.
std::string_view takeNames(std::string_view payload, NameTable& names);

void putMeta(const GatewayMeta& meta, std::string& out);
GatewayMeta takeMeta(std::string_view payload);

/// An Error{storeCorrupt} that names the segment.
[[noreturn]] void segmentCorrupt(SegmentRef ref, std::string_view what);

}  // namespace tidegate::detail
