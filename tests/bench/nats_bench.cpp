// Changes into JetStream and out of it, beside publishing and fetching the same bodies with nothing done to them.
// `tests/nats/with_nats.sh [--cluster 3] tidegate_bench nats_push nats_pull`: with three servers also over three
// replicas.
#include <fmt/format.h>
#include <nats/nats.h>

#include <stdexcept>

#include "bench/harness.h"
#include "nats/detail/jetstream.h"
#include "nats/nats_rig.h"
#include "tidegate/nats/sink.h"
#include "tidegate/nats/source.h"

namespace tidegate::bench {
namespace {

using nats::detail::Connection;
using nats::detail::JetStream;

constexpr std::size_t kRows = 100'000;
constexpr std::size_t kUnit = 10'000;  // changes in a commit
constexpr int kRounds = 3;
constexpr double kNatsBar = 0.7;  // of the bare rate

Shape benchShape() {
  static const Shape shape = makeShape({.table = "public.bench",
                                        .columns = {{.name = "id", .kind = ValueKind::int64, .nullable = false},
                                                    {.name = "name", .kind = ValueKind::text},
                                                    {.name = "amount", .kind = ValueKind::int64},
                                                    {.name = "note", .kind = ValueKind::text}},
                                        .primaryKey = {"id"}});
  return shape;
}

void addRows(std::size_t from, ChangeBatch& batch) {
  for (std::size_t i = from; i < from + kUnit; ++i) {
    const auto id = static_cast<std::int64_t>(i);
    ChangeEvent& event = batch.add(ChangeOp::insert, benchShape());
    event.transactionBegin = event.transactionEnd = true;
    event.position.octets = fmt::format("{:014}", i);
    event.after = {id, fmt::format("customer number {}", i), id * 7919, std::string(150, 'n')};
  }
}

nats::SinkOptions sinkOptions(const std::string& stream, std::uint32_t replicas) {
  nats::SinkOptions options{.connect = nats::testing::serverOptions(),
                            .streamName = stream,
                            .subjectPrefix = "bench." + stream,
                            .body = nats::Body::packed};
  options.stream.replicas = replicas;
  return options;
}

/// @return the stream's name.
std::string pushOurs(std::uint32_t replicas, double& seconds) {
  const std::string stream = nats::testing::freshName("OURS");
  const auto pipeline = nats::sink(sinkOptions(stream, replicas));
  pipeline->open({.pipeline = "bench"});
  pipeline->prepareTable(benchShape());
  pipeline->commit("0");
  std::vector<ChangeBatch> units(kRows / kUnit);
  for (std::size_t i = 0; i < units.size(); ++i) addRows(i * kUnit, units[i]);
  seconds = secondsOf([&] {
    for (std::size_t i = 0; i < units.size(); ++i) {
      pipeline->apply(units[i]);
      pipeline->commit(std::to_string(i));
    }
  });
  return stream;
}

void require(natsStatus status, const char* what) {
  if (status != NATS_OK) throw std::runtime_error(fmt::format("{}: {}", what, natsStatus_GetText(status)));
}

/// The bodies that ours wrote.
std::vector<std::string> bodiesOf(JetStream& js, const std::string& stream) {
  std::vector<std::string> bodies;
  for (std::uint64_t i = 1; bodies.size() < 100; ++i) {
    const auto stored = js.get(stream, i);
    if (stored && !stored->header("Tidegate-Shape").empty()) bodies.push_back(stored->body);
  }
  return bodies;
}

double pushBare(JetStream& js, const std::vector<std::string>& bodies, std::uint32_t replicas, bool ids) {
  const std::string stream = nats::testing::freshName("BARE");
  nats::detail::StreamSpec spec{.name = stream, .subjects = {"bare." + stream}};
  spec.options.replicas = replicas;
  js.ensure(spec);
  jsCtx* context = nullptr;
  require(natsConnection_JetStream(&context, js.connection().raw(), nullptr), "jetstream");
  const double seconds = secondsOf([&] {
    for (std::size_t i = 0; i < kRows; ++i) {
      nats::detail::Msg msg = nats::detail::makeMsg("bare." + stream, nullptr, {}, bodies[i % bodies.size()]);
      if (ids) natsMsgHeader_Set(msg.get(), "Nats-Msg-Id", fmt::format("{:032}", i).c_str());
      natsMsg* raw = msg.release();
      require(js_PublishMsgAsync(context, &raw, nullptr), "publishing");
    }
    jsPubOptions options;
    jsPubOptions_Init(&options);
    options.MaxWait = 60'000;
    require(js_PublishAsyncComplete(context, &options), "waiting for acknowledgements");
  });
  jsCtx_Destroy(context);
  js.remove(stream);
  return seconds;
}

void pushWith(std::uint32_t replicas) {
  Connection connection(nats::testing::serverOptions());
  JetStream js(connection);
  std::vector<std::string> bodies;
  std::vector<double> withoutIds;
  const auto ours = [&] {
    double seconds = 0;
    js.remove(pushOurs(replicas, seconds));
    return seconds;
  };
  double first = 0;
  const std::string stream = pushOurs(replicas, first);
  bodies = bodiesOf(js, stream);
  js.remove(stream);
  const Pair pair = measurePair(kRounds, ours, [&] {
    withoutIds.push_back(pushBare(js, bodies, replicas, false));
    return pushBare(js, bodies, replicas, true);
  });
  const double rows = kRows;
  report({.name = fmt::format("nats_push r{}: changes/s beside bare publishing with ids", replicas),
          .value = rows / pair.ours,
          .unit = "changes/s",
          .limit = rows / pair.limit,
          .better = Better::higher,
          .bar = kNatsBar});
  reportFigure(fmt::format("nats_push r{}: bare publishing without ids", replicas), rows / median(withoutIds),
               "messages/s");
}

double pullOurs(const std::string& stream) {
  const auto source = nats::source({.connect = nats::testing::serverOptions(), .stream = stream});
  source->init({});
  const Position end = source->baseline({"public.bench"}, [](ChangeBatch&) { return Taken::yes; }, {});
  const std::string text = source->positionToText(end);
  std::stop_source stop;
  std::size_t seen = 0;
  return secondsOf([&] {
    source->stream(
        {"public.bench"}, source->positionFromText("0" + text.substr(text.find('@'))),
        [&](ChangeBatch& batch) {
          for (const ChangeEvent& event : batch) seen += event.op == ChangeOp::insert ? 1 : 0;
          if (seen == kRows) stop.request_stop();
          return Taken::yes;
        },
        stop.get_token());
  });
}

double pullBare(const std::string& stream) {
  Connection connection(nats::testing::serverOptions());
  jsCtx* context = nullptr;
  natsSubscription* sub = nullptr;
  require(natsConnection_JetStream(&context, connection.raw(), nullptr), "jetstream");
  jsSubOptions options;
  jsSubOptions_Init(&options);
  options.Stream = stream.c_str();
  options.Config.AckPolicy = js_AckNone;
  std::size_t seen = 0, bytes = 0;
  const std::string subjects = "bench." + stream + ".t.>";
  require(js_PullSubscribe(&sub, context, subjects.c_str(), nullptr, nullptr, &options, nullptr), "subscribing");
  const double seconds = secondsOf([&] {
    while (seen < kRows) {
      natsMsgList list;
      require(natsSubscription_Fetch(&list, sub, 1'000, 5'000, nullptr), "fetching");
      for (int i = 0; i < list.Count; ++i) bytes += static_cast<std::size_t>(natsMsg_GetDataLength(list.Msgs[i]));
      seen += static_cast<std::size_t>(list.Count);
      natsMsgList_Destroy(&list);
    }
  });
  keep(bytes);
  nats::detail::endSubscription(connection.raw(), sub);
  jsCtx_Destroy(context);
  return seconds;
}

void pullWith(std::uint32_t replicas) {
  double pushed = 0;
  const std::string stream = pushOurs(replicas, pushed);
  const Pair pair = measurePair(
      kRounds, [&] { return pullOurs(stream); }, [&] { return pullBare(stream); });
  const double rows = kRows;
  report({.name = fmt::format("nats_pull r{}: changes/s beside bare fetching", replicas),
          .value = rows / pair.ours,
          .unit = "changes/s",
          .limit = rows / pair.limit,
          .better = Better::higher,
          .bar = kNatsBar});
  nats::testing::Servers().js().remove(stream);
}

void benchPush() {
  nats::testing::Servers().awaitReady();
  pushWith(1);
  if (nats::testing::serverUrls().size() == 3) pushWith(3);
}

void benchPull() {
  nats::testing::Servers().awaitReady();
  pullWith(1);
  if (nats::testing::serverUrls().size() == 3) pullWith(3);
}

const Registration kPush("nats_push", "changes into JetStream, beside bare publishing of the same bodies", benchPush);
const Registration kPull("nats_pull", "changes out of JetStream, beside bare fetching of the same bodies", benchPull);

}  // namespace
}  // namespace tidegate::bench
