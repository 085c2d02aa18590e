// Entries of a shared log, and chunks of its snapshots, whose checksums are right: a gateway must refuse them with an
// Error, or apply them and go on serving.
#include <cstdint>
#include <memory>
#include <string>

#include "core/detail/packed.h"
#include "gateway/detail/seeded_hash.h"
#include "tidegate/core/error.h"
#include "tidegate/gateway/gateway.h"

namespace {

using namespace tidegate;

std::string sealed(const std::uint8_t* data, std::size_t size) {
  std::string octets(1, '\1');
  octets.append(16, '\7');
  octets.push_back('\1');
  octets.append(reinterpret_cast<const char*>(data), size);
  detail::putFixed64(detail::seededHash(octets, 0x7469646567617465), octets);
  return octets;
}

/// A snapshot's last chunk, which makes it whole.
std::string ending() {
  std::string sections(1, '\x19');
  detail::putFixed64(8, sections);
  detail::putFixed64(0, sections);
  sections.push_back('\x1a');
  detail::putFixed64(0, sections);
  return sealed(reinterpret_cast<const std::uint8_t*>(sections.data()), sections.size());
}

GatewayOptions optionsOf(const MemorySharedLog& log) {
  GatewayOptions options;
  options.sharedLog = log.another();
  options.limits.maxNames = 1'000;
  options.rules = SyncRules::of(1, {{"mine", {"t"}, {{"a", RuleOp::eq, {}, "sub"}}}});
  return options;
}

void serve(Gateway& gateway) {
  const Claims claims{{"sub", {"1"}}};
  (void)gateway.handlePull({"c", {}, 100}, claims);
  GatewaySnapshot snapshot = gateway.snapshot(claims);
  RowDelta row;
  while (snapshot.next(row)) {
  }
  gateway.handlePush({"c", {{DeltaOp::insert, "t", "r", "c", {{"a", 1}, {"b", "x"}}, gateway.clock().now(), {}}}, {}});
  gateway.handlePush({"c", {{DeltaOp::erase, "t", "r", "c", {}, gateway.clock().now(), {}}}, {}});
  (void)gateway.row("t", "r");
  gateway.saveSnapshot();
  gateway.enforceRetention();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string entry = sealed(data + 1, size - 1);
  MemorySharedLog log;
  try {
    if ((data[0] & 1) != 0) {
      const std::string last = ending();
      int given = 0;
      log.putSnapshot(1, [&](std::string& chunk) {
        chunk = given == 0 ? entry : last;
        return given++ < 2;
      });
      (void)log.append(0, "x");
      log.trim(1);
      Gateway joining(optionsOf(log));
      serve(joining);
    } else {
      Gateway gateway(optionsOf(log));
      if ((data[0] & 2) != 0) serve(gateway);
      const std::uint64_t last = log.read(0, [](std::uint64_t, std::string_view) {});
      (void)log.append(last, entry);
      gateway.catchUp();
      serve(gateway);
    }
  } catch (const Error&) {
  }
  return 0;
}
