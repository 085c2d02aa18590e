// Binary messages of the sync API as a client or a server may send them: a tag, then protobuf. What is read and written
// again reads as the same.
#include <cstdint>
#include <string>
#include <string_view>

#include "fuzz/check.h"
#include "server/detail/sync_proto.h"

namespace {

using tidegate::ErrorCode;
using tidegate::RowDelta;
using tidegate::SyncPull;
using tidegate::SyncPush;
using tidegate::fuzz::takes;
using namespace tidegate::server::detail;

// As JSON they are written; NaN and the like cannot come in, so `==` is what is meant.
bool same(const SyncPush& a, const SyncPush& b) {
  return a.clientId == b.clientId && a.lastSeenHlc == b.lastSeenHlc && a.deltas == b.deltas;
}

void push(std::string_view octets) {
  SyncPush read;
  if (!takes(ErrorCode::parseError, [&] { read = pushFromProto(octets); })) return;
  for (const RowDelta& delta : read.deltas) FUZZ_CHECK(static_cast<int>(delta.op) <= 2);
  std::string written, twice;
  appendProto(read, written);
  const SyncPush again = pushFromProto(written);
  appendProto(again, twice);
  FUZZ_CHECK(written == twice);
  FUZZ_CHECK(same(again, pushFromProto(twice)));
}

void pull(std::string_view octets) {
  SyncPull read;
  if (!takes(ErrorCode::parseError, [&] { read = pullFromProto(octets); })) return;
  std::string written;
  appendProto(read, written);
  const SyncPull again = pullFromProto(written);
  FUZZ_CHECK(again.clientId == read.clientId && again.sinceHlc == read.sinceHlc && again.maxDeltas == read.maxDeltas);
}

void response(std::string_view octets) {
  tidegate::PullResult read;
  if (!takes(ErrorCode::parseError, [&] { read = pullResultFromProto(octets); })) return;
  std::string written, twice;
  appendProto(read, written);
  const tidegate::PullResult again = pullResultFromProto(written);
  appendProto(again, twice);
  FUZZ_CHECK(written == twice);
  FUZZ_CHECK(again.serverHlc == read.serverHlc && again.hasMore == read.hasMore);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view octets = tidegate::fuzz::textOf(data + 1, size - 1);
  if (data[0] == static_cast<std::uint8_t>(SyncTag::push)) push(octets);
  if (data[0] == static_cast<std::uint8_t>(SyncTag::pull)) pull(octets);
  if (data[0] == static_cast<std::uint8_t>(SyncTag::broadcast)) response(octets);
  return 0;
}
