// Clients over pull, WebSocket and events at once, cut at random: in the end each equals its rule-filtered view.
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <mutex>
#include <thread>

#include "http/ws_client.h"
#include "server/detail/sync_proto.h"
#include "server/sync_rig.h"
#include "support/property.h"
#include "tidegate/http/sse.h"

namespace tidegate::server {
namespace {

using http::test::eventually;
using http::test::RawClient;
using http::test::WsClient;
using test::SyncRig;
using tidegate::test::Random;

/// Rows as a client holds them: column by column, as JSON.
using View = std::map<std::string, std::map<std::string, std::string>>;

void applyTo(View& view, const RowDelta& delta) {
  const std::string key = delta.table + "/" + delta.rowId;
  if (delta.op == DeltaOp::erase) {
    view.erase(key);
    return;
  }
  auto& row = view[key];
  for (const ColumnValue& column : delta.columns) row[column.column] = toJson(column.value);
}

View viewOf(Gateway& gateway, const Claims& claims) {
  View view;
  GatewaySnapshot snapshot = gateway.snapshot(claims);
  for (RowDelta row; snapshot.next(row); row = {}) applyTo(view, row);
  return view;
}

enum class Way { pull, events, binarySocket, jsonSocket };

/// A client on a thread of its own. It goes on from what it reached, and takes a checkpoint when told to.
class SyncClient {
 public:
  SyncClient(SyncRig& rig, Way way, std::string id) : rig_(rig), way_(way), id_(std::move(id)) {
    thread_ = std::jthread([this] { live(); });
  }
  ~SyncClient() {
    stopping_ = true;
    cut();
  }
  /// The connection breaks.
  void cut() {
    const std::lock_guard lock(mutex_);
    if (fd_ >= 0) ::shutdown(fd_, SHUT_RDWR);
  }
  View view() {
    const std::lock_guard lock(mutex_);
    return view_;
  }
  Way way() const { return way_; }
  std::atomic<int> connections{0}, resyncs{0};

 private:
  void live() {
    while (!stopping_) {
      if (behind_) resync();
      if (way_ == Way::pull) {
        pullOnce();
        poll(nullptr, 0, 1);
      } else if (way_ == Way::events) {
        readEvents();
      } else {
        readSocket();
      }
    }
  }
  std::string query() const { return "since=" + reached_.text() + "&clientId=" + id_; }

  void take(const PullResult& page) {
    const std::lock_guard lock(mutex_);
    if (page.mustResync) {
      behind_ = true;
      return;
    }
    for (const RowDelta& delta : page.deltas) applyTo(view_, delta);
    reached_ = page.serverHlc;
  }
  void resync() {
    const auto answer =
        rig_.ask("GET", "/v1/sync/main/checkpoint", "client:" + id_, {}, {{"accept", "application/json"}});
    if (answer.status != 200) return;
    const auto body = nlohmann::json::parse(answer.body);
    const std::lock_guard lock(mutex_);
    view_.clear();
    for (const auto& delta : body["deltas"]) applyTo(view_, deltaFromJson(delta.dump()));
    reached_ = *Hlc::parse(body["snapshotHlc"].get<std::string>());
    behind_ = false;
    ++resyncs;
  }
  void pullOnce() {
    ++connections;
    const auto answer = rig_.pull("client:" + id_, query() + "&limit=7");
    if (answer.status == 200) take(pullResultFromJson(answer.body));
  }

  void use(RawClient& raw) {
    ++connections;
    const std::lock_guard lock(mutex_);
    fd_ = raw.fd();
    if (stopping_) ::shutdown(fd_, SHUT_RDWR);
  }
  void unuse() {
    const std::lock_guard lock(mutex_);
    fd_ = -1;
  }
  void readEvents() {
    RawClient raw(rig_.server->port());
    use(raw);
    raw.send("GET /v1/sync/main/events?clientId=" + id_ + " HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer client:" +
             id_ + "\r\nLast-Event-ID: " + reached_.text() + "\r\n\r\n");
    http::SseParser parser([this](const http::SseEvent& event) {
      if (event.type == "resync") behind_ = true;
      if (event.type == "deltas") take(pullResultFromJson(event.data));
    });
    raw.readUntil("\r\n\r\n");
    while (!behind_) {
      const std::string size = raw.readUntil("\r\n");
      const std::size_t length = size.size() < 3 ? 0 : std::stoul(size, nullptr, 16);
      const std::string piece = length == 0 ? std::string() : raw.readBytes(length);
      if (piece.size() != length || length == 0) break;  // what was cut is no event
      parser.feed(piece);
      raw.readBytes(2);
    }
    unuse();
  }
  void readSocket() {
    const bool json = way_ == Way::jsonSocket;
    WsClient socket(rig_.server->port(),
                    "/v1/sync/main/ws?token=client:" + id_ + "&" + query() + (json ? "&format=json" : ""));
    use(socket.raw);
    while (!behind_) {
      const auto frame = socket.read();
      if (!frame || frame->state != http::test::WsReader::State::message) break;
      take(json ? pullResultFromJson(frame->payload)
                : detail::pullResultFromProto(std::string_view(frame->payload).substr(1)));
    }
    unuse();
  }

  SyncRig& rig_;
  const Way way_;
  const std::string id_;
  std::mutex mutex_;
  View view_{};
  Hlc reached_{};
  int fd_ = -1;
  std::atomic<bool> behind_{false};
  std::atomic<bool> stopping_{false};
  std::jthread thread_{};
};

SyncRules ownersRules(bool others) {
  return SyncRules::parse(
      std::string(
          R"({"version":1,"buckets":[{"name":"m","tables":["todos"],"filters":[{"column":"owner","op":"eq","value":"jwt:sub"}]})") +
      (others ? R"(,{"name":"small","tables":["todos"],"filters":[{"column":"n","op":"lt","value":5}]})" : "") + "]}");
}

RowDelta randomDelta(Random& random, Gateway& gateway, const std::string& writer) {
  static const std::vector<std::string> kOwners{"pull", "events", "binary", "json", "nobody"};
  const std::string row = std::to_string(random.below(40));
  if (random.chance(15)) return test::deltaNow(gateway, writer, row, {}, DeltaOp::erase);
  std::vector<ColumnValue> columns;
  if (random.chance(60)) columns.push_back({"owner", random.pick(kOwners)});
  if (random.chance(70) || columns.empty()) columns.push_back({"n", random.between(0, 20)});
  return test::deltaNow(gateway, writer, row, std::move(columns),
                        random.chance(50) ? DeltaOp::insert : DeltaOp::update);
}

void writeAndCut(Random& random, SyncRig& rig, std::vector<std::unique_ptr<SyncClient>>& clients) {
  for (int i = 0; i < 300; ++i) {
    const std::string writer = random.chance(50) ? "writer" : "pull";
    SyncPush push{writer, {}, {}};
    for (std::uint64_t n = random.below(4) + 1; n-- > 0;)
      push.deltas.push_back(randomDelta(random, rig.gateway, writer));
    if (random.chance(30)) {
      ASSERT_EQ(rig.push("client:" + writer, push).status, 200);
    } else {
      ASSERT_EQ(rig.gateway.handlePush(push).status, PushStatus::accepted);
    }
    if (random.chance(10)) clients[random.index(clients.size())]->cut();
    if (random.chance(2)) rig.gateway.setSyncRules(ownersRules(random.chance(50)));
  }
}

TEST(SyncProperty, EveryClientEndsWithItsRuleFilteredViewWhateverBreaks) {
  tidegate::test::forEachSeed(6, [](std::uint64_t seed) {
    Random random(seed);
    GatewayOptions options;
    options.rules = ownersRules(false);
    if (random.chance(50)) options.retention.maxLogEntries = 60;  // so that some fall behind it
    SyncRig rig({.batch = random.below(20) + 1, .window = 2'000, .maxQueuedEntries = 50}, {.threads = 2},
                std::move(options));
    std::vector<std::unique_ptr<SyncClient>> clients;
    const std::vector<std::pair<Way, std::string>> kinds{
        {Way::pull, "pull"}, {Way::events, "events"}, {Way::binarySocket, "binary"}, {Way::jsonSocket, "json"}};
    for (const auto& [way, id] : kinds) clients.push_back(std::make_unique<SyncClient>(rig, way, id));
    writeAndCut(random, rig, clients);
    for (std::size_t i = 0; i < clients.size(); ++i) {
      const Claims claims{{"sub", {kinds[i].second}}};
      const View expected = viewOf(rig.gateway, claims);
      EXPECT_TRUE(eventually([&] { return clients[i]->view() == expected; }))
          << kinds[i].second << " holds " << clients[i]->view().size() << " rows, not " << expected.size();
      std::printf("seed %llu: %s has %zu rows after %d connections, %d checkpoints\n",
                  static_cast<unsigned long long>(seed), kinds[i].second.c_str(), expected.size(),
                  clients[i]->connections.load(), clients[i]->resyncs.load());
    }
    clients.clear();
  });
}

}  // namespace
}  // namespace tidegate::server
