#include <gtest/gtest.h>

#include <fstream>

#include "core/detail/octet_text.h"
#include "nats/detail/jetstream.h"
#include "nats/nats_rig.h"

namespace tidegate::nats::detail {
namespace {

template <class Work>
Error errorOf(const Work& work) {
  try {
    work();
  } catch (const Error& e) {
    return e;
  }
  ADD_FAILURE() << "nothing was thrown";
  return {ErrorCode::internal, Retry::never, ""};
}

TEST(NatsConnection, SaysWhereNobodyListensAndKeepsSecretsToItself) {
  const Error e = errorOf([] {
    Connection({.servers = {"nats://bob:hunter2@127.0.0.1:1"}, .connectTimeout = std::chrono::milliseconds(500)});
  });
  EXPECT_EQ(e.code(), ErrorCode::connectionFailed);
  EXPECT_EQ(e.retry(), Retry::later);
  EXPECT_NE(e.message().find("127.0.0.1:1"), std::string::npos) << e.what();
  EXPECT_EQ(e.message().find("hunter2"), std::string::npos) << e.what();
}

TEST(NatsConnection, RefusesOptionsThatContradictEachOther) {
  const auto refused = [](ConnectOptions options) {
    return errorOf([&] { Connection{options}; }).code() == ErrorCode::invalidConfig;
  };
  EXPECT_TRUE(refused({.servers = {}}));
  EXPECT_TRUE(refused({.user = "bob", .token = "secret"}));
  EXPECT_TRUE(refused({.password = "secret"}));
  EXPECT_TRUE(refused({.tls = {.certificateFile = "a.pem"}}));
  EXPECT_TRUE(refused({.requestTimeout = std::chrono::milliseconds(0)}));
}

TEST(NatsConnection, AMissingCredentialsFileIsNamedWithoutItsContent) {
  ConnectOptions options = testing::serverOptions();
  options.tls.authorityFile = "/nonexistent/ca.pem";
  EXPECT_EQ(errorOf([&] { Connection{options}; }).code(), ErrorCode::invalidConfig);
}

TEST(NatsConnection, ARequestThatNobodyAnswersIsSaidToBeSo) {
  ConnectOptions options = testing::serverOptions();
  options.retryFor = std::chrono::milliseconds(0);
  Connection connection(options);
  const Error e = errorOf([&] { connection.request("nobody.listens", "", Effect::possible, "asking nobody"); });
  EXPECT_EQ(e.code(), ErrorCode::connectionFailed);
  EXPECT_EQ(e.retry(), Retry::later) << "nobody got it, so nothing happened";
}

TEST(NatsJetStream, MakesFindsReadsAndDropsStreams) {
  testing::Servers servers;
  JetStream& js = servers.js();
  const std::string name = testing::freshName("J");
  EXPECT_FALSE(js.find(name));
  const Error missing = errorOf([&] { js.info(name); });
  EXPECT_EQ(missing.code(), ErrorCode::tableNotFound);
  StreamSpec spec{.name = name, .subjects = {"j." + name + ".>"}};
  spec.options.createMissing = false;
  EXPECT_EQ(errorOf([&] { js.ensure(spec); }).code(), ErrorCode::tableNotFound);
  spec.options = {.storage = Storage::memory, .maxAge = std::chrono::seconds(60)};
  js.ensure(spec);
  EXPECT_EQ(js.ensure(spec).subject, "j." + name);
  EXPECT_FALSE(js.last(name, "j." + name + ".a"));
  for (const char* text : {"1", "2", "3"}) {
    const Msg msg = makeMsg("j." + name + "." + text, nullptr, {{"X-Head", std::string("of ") + text}}, text);
    js.connection().request(msg.get(), Effect::possible, "publishing");
  }
  EXPECT_EQ(js.get(name, 2)->body, "2");
  EXPECT_EQ(js.get(name, 2)->header("X-Head"), "of 2");
  EXPECT_EQ(js.get(name, 2)->header("X-Hea"), "");
  EXPECT_FALSE(js.get(name, 9));
  EXPECT_EQ(js.next(name, "j." + name + ".*", 2)->sequence, 2u);
  EXPECT_FALSE(js.next(name, "j." + name + ".1", 2));
  EXPECT_EQ(js.subjects(name, "j." + name + ".*").size(), 3u);
  js.purge(name, 3);
  EXPECT_EQ(js.info(name).firstSequence, 3u);
  js.remove(name);
  js.remove(name);
  EXPECT_FALSE(js.find(name));
}

TEST(NatsBase64, IsReadStrictly) {
  const auto read = [](std::string_view text) {
    std::string out;
    return tidegate::detail::appendFromBase64(text, out) ? out : "?";
  };
  EXPECT_EQ(read("b25l"), "one");
  EXPECT_EQ(read("dHdv"), "two");
  EXPECT_EQ(read("YQ=="), "a");
  EXPECT_EQ(read("YWI="), "ab");
  EXPECT_EQ(read(""), "");
  for (const char* bad : {"b25", "b25l=", "b2=l", "b25l\n", "===="}) EXPECT_EQ(read(bad), "?") << bad;
}

}  // namespace
}  // namespace tidegate::nats::detail
