#include "bench/nats_bare.h"

#include <fmt/format.h>
#include <nats/nats.h>

#include <algorithm>
#include <stdexcept>

#include "nats/nats_rig.h"

namespace tidegate::bench {
namespace {

using nats::detail::Connection;
using nats::detail::JetStream;

constexpr int kFetch = 1'000;
constexpr int kPatienceMs = 60'000;

void requireOk(natsStatus status, const char* what) {
  if (status != NATS_OK) throw std::runtime_error(fmt::format("{}: {}", what, natsStatus_GetText(status)));
}

}  // namespace

BareStream::BareStream(JetStream& js, std::uint32_t replicas) : js_(js), name_(nats::testing::freshName("BARE")) {
  nats::detail::StreamSpec spec{.name = name_, .subjects = {subject()}};
  spec.options.replicas = replicas;
  js_.ensure(spec);
}

BareStream::~BareStream() {
  try {
    js_.remove(name_);
  } catch (const std::exception&) {  // it goes with the servers
  }
}

void publishBare(JetStream& js, const std::string& subject, const std::vector<std::string>& bodies, std::size_t count,
                 bool ids) {
  jsCtx* context = nullptr;
  requireOk(natsConnection_JetStream(&context, js.connection().raw(), nullptr), "jetstream");
  for (std::size_t i = 0; i < count; ++i) {
    nats::detail::Msg msg = nats::detail::makeMsg(subject, nullptr, {}, bodies[i % bodies.size()]);
    if (ids) natsMsgHeader_Set(msg.get(), "Nats-Msg-Id", fmt::format("{:032}", i).c_str());
    natsMsg* raw = msg.release();
    requireOk(js_PublishMsgAsync(context, &raw, nullptr), "publishing");
  }
  jsPubOptions options;
  jsPubOptions_Init(&options);
  options.MaxWait = kPatienceMs;
  requireOk(js_PublishAsyncComplete(context, &options), "waiting for acknowledgements");
  jsCtx_Destroy(context);
}

std::size_t fetchBare(const std::string& stream, const std::string& subjects, std::size_t count) {
  Connection connection(nats::testing::serverOptions());
  jsCtx* context = nullptr;
  natsSubscription* sub = nullptr;
  requireOk(natsConnection_JetStream(&context, connection.raw(), nullptr), "jetstream");
  jsSubOptions options;
  jsSubOptions_Init(&options);
  options.Stream = stream.c_str();
  options.Config.AckPolicy = js_AckNone;
  requireOk(js_PullSubscribe(&sub, context, subjects.c_str(), nullptr, nullptr, &options, nullptr), "subscribing");
  std::size_t seen = 0, bytes = 0;
  while (seen < count) {
    natsMsgList list;
    const int most = static_cast<int>(std::min<std::size_t>(kFetch, count - seen));
    requireOk(natsSubscription_Fetch(&list, sub, most, kPatienceMs, nullptr), "fetching");
    for (int i = 0; i < list.Count; ++i) bytes += static_cast<std::size_t>(natsMsg_GetDataLength(list.Msgs[i]));
    seen += static_cast<std::size_t>(list.Count);
    natsMsgList_Destroy(&list);
  }
  nats::detail::endSubscription(connection.raw(), sub);
  jsCtx_Destroy(context);
  return bytes;
}

}  // namespace tidegate::bench
