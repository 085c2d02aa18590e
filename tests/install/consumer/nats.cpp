#include "tidegate/nats/gateway_store.h"
#include "tidegate/nats/lease.h"
#include "tidegate/nats/sink.h"
#include "tidegate/nats/source.h"
#include "tidegate/nats/state_store.h"

using namespace tidegate;

int main() {
  const auto sink = nats::sink({.stream = {.replicas = 3}});
  const auto source = nats::source({.stream = "TIDEGATE_items"});
  const Position at = source->positionFromText("17@0123456789ab");
  int refused = 0;
  const auto refuses = [&](const auto& make) {
    try {
      make();
    } catch (const Error& e) {
      refused += e.code() == ErrorCode::invalidConfig ? 1 : 0;
    }
  };
  refuses([] { nats::stateStore({.bucket = "not a bucket"}); });
  refuses([] { nats::Lease lease({}); });
  refuses([] { nats::gatewayStore({.log = ""}); });
  return refused == 3 && sink->traits().keyless && source->positionToText(at) == "17@0123456789ab" ? 0 : 1;
}
