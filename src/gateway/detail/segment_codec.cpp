#include "gateway/detail/segment_codec.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "core/detail/packed.h"
#include "tidegate/core/error.h"

namespace tidegate::detail {
namespace {
constexpr std::uint8_t kVersion = 1;
constexpr std::uint64_t kChecksumSeed = 0x7469646567617465;
constexpr std::size_t kHead = 2;
constexpr std::size_t kTail = 8;
}  // namespace

void beginSegment(SegmentKind kind, std::string& out) {
  out.clear();
  out.push_back(static_cast<char>(kVersion));
  out.push_back(static_cast<char>(kind));
}

void putNames(const NameSet& used, const NameTable& names, std::string& out) {
  putVarint(used.ids().size(), out);
  for (const NameId id : used.ids()) {
    putVarint(id, out);
    putText(names.at(id), out);
  }
}

void endSegment(std::string& out) { putFixed64(seededHash(out, kChecksumSeed), out); }

std::string_view openSegment(SegmentRef ref, std::string_view octets) {
  if (octets.size() < kHead + kTail) segmentCorrupt(ref, "is cut short");
  const std::string_view body = octets.substr(0, octets.size() - kTail);
  std::uint64_t checksum = 0;
  std::memcpy(&checksum, octets.data() + body.size(), kTail);
  if (checksum != seededHash(body, kChecksumSeed)) segmentCorrupt(ref, "fails its checksum");
  if (static_cast<std::uint8_t>(body[0]) != kVersion) segmentCorrupt(ref, "is of a version this library does not know");
  if (static_cast<std::uint8_t>(body[1]) != static_cast<std::uint8_t>(ref.kind))
    segmentCorrupt(ref, "is of another kind");
  return body.substr(kHead);
}

std::string_view takeNames(std::string_view payload, NameTable& names) {
  PackedReader in(payload);
  for (std::uint64_t left = in.varint(); left > 0; --left) {
    const std::uint64_t id = in.varint();
    names.restore(static_cast<NameId>(std::min<std::uint64_t>(id, kNoName)), in.text());
  }
  return payload.substr(payload.size() - in.left());
}

void putMeta(const GatewayMeta& meta, std::string& out) {
  for (const std::uint64_t v : {meta.head, meta.clockLast, meta.trimmedTo, meta.rulesEpoch, meta.resyncBefore,
                                meta.tombstonesPurgedTo, meta.purgedStamp}) {
    putFixed64(v, out);
  }
  putText(meta.rulesFingerprint, out);
  putVarint(meta.purged.size(), out);
  for (const GatewayMeta::Purge& purge : meta.purged) {
    putText(purge.table, out);
    putFixed64(purge.at, out);
    putFixed64(purge.lastRowsSegment, out);
  }
}

GatewayMeta takeMeta(std::string_view payload) {
  PackedReader in(payload);
  GatewayMeta meta;
  for (std::uint64_t* v : {&meta.head, &meta.clockLast, &meta.trimmedTo, &meta.rulesEpoch, &meta.resyncBefore,
                           &meta.tombstonesPurgedTo, &meta.purgedStamp}) {
    *v = in.fixed64();
  }
  meta.rulesFingerprint = in.text();
  for (std::uint64_t left = in.varint(); left > 0; --left) {
    GatewayMeta::Purge purge;
    purge.table = in.text();
    purge.at = in.fixed64();
    purge.lastRowsSegment = in.fixed64();
    meta.purged.push_back(std::move(purge));
  }
  return meta;
}

void segmentCorrupt(SegmentRef ref, std::string_view what) {
  throw Error(ErrorCode::storeCorrupt, Retry::afterOperator,
              fmt::format("segment {} of kind {} {}; restore the store from a copy, or start with an empty one and let "
                          "sources and clients fill it again",
                          ref.id, static_cast<int>(ref.kind), what));
}

}  // namespace tidegate::detail
