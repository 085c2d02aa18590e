/// The table of scenarios, driven through the adapter's lines: against our faulty server, against DurableStreamServer,
/// and against the server whose URL stands in TIDEGATE_DS_SERVER_URL (tests/conformance/suites/ds_client.sh).
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "conformance/ds_client_scenarios/adapter_process.h"
#include "durable_streams/faulty_server.h"
#include "tidegate/durable_streams/server.h"
#include "tidegate/durable_streams/stream_store.h"
#include "tidegate/http/client.h"

namespace tidegate::conformance {
namespace {

using Json = nlohmann::ordered_json;
using durable_streams::test::Fault;
using durable_streams::test::FaultyServer;

enum class Behind { faulty, own, named };

std::string nameOf(Behind behind) {
  return behind == Behind::faulty ? "Faulty" : behind == Behind::own ? "Own" : "Named";
}

const Json& table() {
  static const Json kTable = Json::parse(std::ifstream(TIDEGATE_DS_SCENARIOS));
  return kTable;
}

Fault faultOf(const Json& from, const std::string& path) {
  Fault fault{.method = from.value("method", ""),
              .path = path,
              .live = from.value("live", ""),
              .skip = from.value("skip", 0u),
              .count = from.value("count", 1u),
              .retryAfter = from.value("retryAfter", ""),
              .drop = from.value("drop", false),
              .dropAfter = from.value("dropAfter", false),
              .removeHeader = from.value("removeHeader", ""),
              .delay = std::chrono::milliseconds(from.value("delayMs", 0)),
              .pieces = from.value("pieces", std::vector<std::string>()),
              .cutAtEnd = from.value("cutAtEnd", false)};
  if (from.contains("status")) fault.status = from["status"].get<int>();
  if (from.contains("cutAfter")) fault.cutAfter = from["cutAfter"].get<std::size_t>();
  if (from.contains("truncate")) fault.truncate = from["truncate"].get<std::size_t>();
  if (from.contains("body")) fault.body = from["body"].get<std::string>();
  return fault;
}

/// What a scenario runs against.
class Stage {
 public:
  explicit Stage(Behind behind) {
    if (behind == Behind::faulty) {
      faulty_ = std::make_unique<FaultyServer>(FaultyServer::Options{.longPoll = std::chrono::milliseconds(50)});
      url_ = faulty_->url();
    } else if (behind == Behind::own) {
      streams_ = std::make_unique<durable_streams::DurableStreamServer>(durable_streams::DurableStreamServerOptions{
          .store = durable_streams::memoryStreamStore(), .longPollTimeout = std::chrono::milliseconds(500)});
      server_ = std::make_unique<http::Server>(http::ServerOptions{}, streams_->handler());
      server_->start();
      url_ = server_->url() + "/v1/stream";
    } else {
      url_ = std::getenv("TIDEGATE_DS_SERVER_URL");
    }
  }
  ~Stage() {
    if (streams_) streams_->stop();
    if (server_) server_->stop(std::chrono::milliseconds(0));
  }
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  const std::string& url() const { return url_; }
  /// Until somebody waits for more of a stream. A server that is only named does not tell: there, whichever comes first
  /// must be right.
  void awaitLiveReader(const std::string& path) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    const auto waits = [&] {
      if (streams_) return streams_->stats().liveReaders > 0;
      if (!faulty_) return true;
      for (const auto& request : faulty_->seen()) {
        if (request.path == path && http::queryParameter(request.query, "live")) return true;
      }
      return false;
    };
    while (!waits() && std::chrono::steady_clock::now() < until) std::this_thread::yield();
    EXPECT_TRUE(waits()) << "the reader does not wait";
  }
  FaultyServer& faulty() { return *faulty_; }

 private:
  std::string url_;
  std::unique_ptr<FaultyServer> faulty_;
  std::unique_ptr<durable_streams::DurableStreamServer> streams_;
  std::unique_ptr<http::Server> server_;
};

/// Runs one scenario's steps.
class Play {
 public:
  Play(Stage& stage, const std::string& name) : stage_(stage), adapter_(TIDEGATE_DS_CLIENT_ADAPTER) {
    const auto now = std::chrono::system_clock::now().time_since_epoch().count();
    saved_["path"] = "/" + name + std::to_string(now);
    const Json ready = ask({{"type", "init"}, {"serverUrl", stage_.url()}});
    EXPECT_EQ(ready.value("success", false), true);
  }

  void step(const Json& step) {
    if (step.contains("fault")) {
      stage_.faulty().inject(faultOf(step["fault"], saved_["path"]));
    } else if (step.contains("http")) {
      request(filled(step["http"]));
    } else if (step.contains("waits")) {
      stage_.awaitLiveReader(saved_["path"]);
    } else if (step.contains("start")) {
      adapter_.send(filled(step["start"]).dump());
    } else {
      check(step, step.contains("finish") ? Json::parse(adapter_.receive()) : ask(filled(step["do"])));
    }
  }
  void end() { EXPECT_EQ(ask({{"type", "shutdown"}}).value("success", false), true); }

 private:
  Json ask(const Json& command) {
    adapter_.send(command.dump());
    return Json::parse(adapter_.receive());
  }

  void request(const Json& what) {
    http::ClientRequest request{.method = what["method"].get<std::string>(),
                                .url = stage_.url() + what["path"].get<std::string>(),
                                .body = what.value("body", "")};
    const Json headers = what["headers"];
    for (const auto& [name, value] : headers.items()) request.headers.add(name, value.get<std::string>());
    EXPECT_LT(http::Client().perform(request).status, 300);
  }

  /// "$name" stands for what was saved under it.
  std::string filled(std::string text) const {
    for (const auto& [name, value] : saved_) {
      for (std::size_t at = 0; (at = text.find("$" + name, at)) != std::string::npos; at += value.size()) {
        text.replace(at, name.size() + 1, value);
      }
    }
    return text;
  }
  Json filled(Json value) const {
    if (value.is_string()) return filled(value.get<std::string>());
    if (value.is_structured()) {
      for (auto& member : value) member = filled(member);
    }
    return value;
  }

  void check(const Json& step, const Json& result) {
    const Json expected = filled(step.value("expect", Json{{"success", true}}));
    for (const auto& [name, value] : expected.items()) {
      if (name == "data") {
        std::string data;
        for (const Json& chunk : result.value("chunks", Json::array())) data += chunk["data"].get<std::string>();
        EXPECT_EQ(joined(data), value.get<std::string>()) << result;
      } else if (name == "messageHas") {
        EXPECT_NE(result.value("message", "").find(value.get<std::string>()), std::string::npos) << result;
      } else {
        EXPECT_TRUE(holds(result.value(name, Json()), value)) << name << " is not " << value << ": " << result;
      }
    }
    const Json saves = step.value("saves", Json::object());
    for (const auto& [name, variable] : saves.items()) {
      saved_[variable.get<std::string>()] = result.value(name, "");
    }
  }

  /// JSON that came in several chunks is shown as one array.
  static std::string joined(std::string data) {
    for (std::size_t at = 0; (at = data.find("][", at)) != std::string::npos;) data.replace(at, 2, ",");
    return data;
  }

  /// Members that are not named may be anything.
  static bool holds(const Json& actual, const Json& expected) {
    if (!expected.is_object()) return actual == expected;
    for (const auto& [name, value] : expected.items()) {
      if (!actual.is_object() || !holds(actual.value(name, Json()), value)) return false;
    }
    return true;
  }

  Stage& stage_;
  AdapterProcess adapter_;
  std::map<std::string, std::string> saved_;
};

using Case = std::pair<Behind, std::size_t>;

std::vector<Case> cases() {
  std::vector<Case> all;
  for (std::size_t i = 0; i < table().size(); ++i) {
    const bool faults = table()[i].value("faults", false);
    all.emplace_back(Behind::faulty, i);
    if (faults) continue;
    all.emplace_back(Behind::own, i);
    if (std::getenv("TIDEGATE_DS_SERVER_URL")) all.emplace_back(Behind::named, i);
  }
  return all;
}

class DsClientScenario : public ::testing::TestWithParam<Case> {};

TEST_P(DsClientScenario, Holds) {
  const Json& scenario = table()[GetParam().second];
  Stage stage(GetParam().first);
  Play play(stage, scenario["name"].get<std::string>());
  for (const Json& step : scenario["steps"]) {
    SCOPED_TRACE(step.dump());
    play.step(step);
    if (HasFailure()) return;
  }
  play.end();
}

INSTANTIATE_TEST_SUITE_P(Table, DsClientScenario, ::testing::ValuesIn(cases()), [](const auto& one) {
  return table()[one.param.second]["name"].template get<std::string>() + nameOf(one.param.first);
});

}  // namespace
}  // namespace tidegate::conformance
