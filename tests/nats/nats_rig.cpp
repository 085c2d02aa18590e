#include "nats/nats_rig.h"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <stdexcept>
#include <thread>

#include <nlohmann/json.hpp>

namespace tidegate::nats::testing {
namespace {

using Document = nlohmann::json;

std::string variable(const char* name) {
  if (const char* value = std::getenv(name); value != nullptr && *value != '\0') return value;
  throw std::runtime_error(std::string(name) + " is not set: run this test as `tests/nats/with_nats.sh <command>`");
}

}  // namespace

std::vector<std::string> serverUrls() {
  std::vector<std::string> urls;
  std::string left = variable("TIDEGATE_NATS_URL");
  while (!left.empty()) {
    const std::size_t comma = left.find(',');
    urls.push_back(left.substr(0, comma));
    left = comma == std::string::npos ? "" : left.substr(comma + 1);
  }
  return urls;
}

bool soon(const std::function<bool()>& holds) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!holds()) {
    if (std::chrono::steady_clock::now() >= until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

ConnectOptions serverOptions() { return {.servers = serverUrls()}; }

std::uint16_t portOf(const std::string& url) {
  return static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
}

std::string freshName(std::string_view prefix) {
  static std::atomic<unsigned> count{0};
  return fmt::format("{}-{}-{}", prefix, ::getpid(), ++count);
}

std::vector<std::string> Servers::streams() {
  const detail::Msg answer = connection_.request("$JS.API.STREAM.NAMES", "", detail::Effect::none, "listing streams");
  const Document names = Document::parse(detail::bodyOf(answer.get()));
  std::vector<std::string> all;
  if (!names.contains("streams") || names["streams"].is_null()) return all;
  for (const Document& name : names["streams"]) all.push_back(name.get<std::string>());
  return all;
}

void Servers::removeStreams() {
  for (const std::string& stream : streams()) js_.remove(stream);
}

void Servers::awaitReady() {
  detail::StreamSpec probe{.name = freshName("PROBE"), .subjects = {freshName("probe")}};
  probe.options.replicas = static_cast<std::uint32_t>(serverUrls().size());
  probe.options.storage = Storage::memory;
  js_.ensure(probe);
  js_.remove(probe.name);
}

void nodeCommand(const std::string& command, int node) {
  const std::string script = fmt::format("{}/nats/with_nats.sh --node '{}' {} {}", TIDEGATE_TESTS_DIR,
                                         variable("TIDEGATE_NATS_DIR"), command, node);
  if (std::system(script.c_str()) != 0) throw std::runtime_error("failed: " + script);
}

int nodeNamed(std::string_view name) {
  return name.starts_with("node") ? std::atoi(std::string(name.substr(4)).c_str()) : 0;
}

}  // namespace tidegate::nats::testing
