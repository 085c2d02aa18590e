/// A consumer of a real server that lives, says so, and brings nothing.
#include "nats/detail/log_reader.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "nats/nats_rig.h"

namespace tidegate::nats::detail {
namespace {

using namespace std::chrono_literals;

class NatsLogReader : public ::testing::Test {
 protected:
  NatsLogReader() : connection(testing::serverOptions()), js(connection), stream(testing::freshName("R")) {
    StreamSpec spec{.name = stream, .subjects = {"r." + stream + ".some", "r." + stream + ".none"}};
    spec.options.storage = Storage::memory;
    js.ensure(spec);
  }
  nlohmann::json ask(const std::string& what, const std::string& body) {
    const Msg answer = connection.request("$JS.API." + what, body, Effect::none, "asking");
    return nlohmann::json::parse(bodyOf(answer.get()));
  }
  void put() { connection.request("r." + stream + ".some", "text", Effect::possible, "putting"); }
  /// What a server does by itself where it loses its way: the consumer stays, and takes no notice of new messages.
  void stallConsumer() {
    const nlohmann::json names = ask("CONSUMER.NAMES." + stream, "").at("consumers");
    ASSERT_EQ(names.size(), 1u) << names.dump();
    const std::string consumer = names[0].get<std::string>();
    nlohmann::json config = ask("CONSUMER.INFO." + stream + "." + consumer, "").at("config");
    config["filter_subject"] = "r." + stream + ".none";
    config["name"] = consumer;
    const auto made = ask("CONSUMER.CREATE." + stream + "." + consumer + ".r." + stream + ".none",
                          nlohmann::json{{"stream_name", stream}, {"config", config}}.dump());
    ASSERT_FALSE(made.contains("error")) << made.dump();
  }
  /// Reads for as long as nothing comes and nothing fails. @return the failure, or nothing for a message.
  std::optional<Error> outcomeOf(LogReader& reader) {
    const auto deadline = std::chrono::steady_clock::now() + 60s;
    while (std::chrono::steady_clock::now() < deadline) {
      try {
        if (reader.next(20ms)) return std::nullopt;
      } catch (const Error& error) {
        return error;
      }
    }
    return Error(ErrorCode::internal, Retry::never, "it waits for ever");
  }

  static LogReaderOptions soon() {
    LogReaderOptions made;
    made.stalled = 200ms;
    return made;
  }

  Connection connection;
  JetStream js;
  std::string stream;
};

TEST_F(NatsLogReader, AConsumerThatBringsNothingThoughSomethingIsThereIsReplaced) {
  put();
  LogReader reader(js, stream, 0, soon());
  EXPECT_FALSE(outcomeOf(reader).has_value());
  ASSERT_NO_FATAL_FAILURE(stallConsumer());
  std::optional<Error> failure;
  int there = 1;
  // The server may take some time to do as it was told.
  for (; !failure && there < 100; ++there) {
    put();
    failure = outcomeOf(reader);
  }
  ASSERT_TRUE(failure.has_value());
  EXPECT_EQ(failure->code(), ErrorCode::connectionFailed) << failure->what();
  EXPECT_EQ(failure->retry(), Retry::later);
  const std::string said = "brings nothing after message " + std::to_string(there - 1) + ", though there is";
  EXPECT_NE(failure->message().find(said), std::string::npos) << failure->message();
  LogReader next(js, stream, reader.sequence(), soon());
  EXPECT_FALSE(outcomeOf(next).has_value());
  EXPECT_EQ(next.sequence(), static_cast<std::uint64_t>(there));
}

TEST(NatsLogReaderStatus, ARequestThatEndedIsNoConsumerThatIsGone) {
  EXPECT_TRUE(endsRequest("408", "2000"));  // Request Timeout
  EXPECT_TRUE(endsRequest("408", ""));
  EXPECT_TRUE(endsRequest("404", ""));    // No Messages
  EXPECT_TRUE(endsRequest("409", "12"));  // Message Size Exceeds MaxBytes
  EXPECT_TRUE(endsRequest("409", "0"));   // Batch Completed: from 2.10 on, where octets of the request are left
  EXPECT_FALSE(endsRequest("409", ""));   // Consumer Deleted, Leadership Change, Server Shutdown
  EXPECT_FALSE(endsRequest("503", ""));
}

TEST_F(NatsLogReader, ReadsOnBeyondTheMessagesOfOneRequest) {
  for (int i = 0; i < 50; ++i) put();
  LogReaderOptions few;
  few.batch = 2;
  LogReader reader(js, stream, 0, few);
  for (std::uint64_t sequence = 1; sequence <= 50; ++sequence) {
    const auto failure = outcomeOf(reader);
    ASSERT_FALSE(failure) << failure->what();
    ASSERT_EQ(reader.sequence(), sequence);
  }
}

TEST_F(NatsLogReader, AStreamThatIsQuietIsNoFailure) {
  put();
  LogReader reader(js, stream, 0, soon());
  EXPECT_FALSE(outcomeOf(reader).has_value());
  EXPECT_FALSE(reader.next(1s));  // many times as long as it takes to look
  put();
  EXPECT_FALSE(outcomeOf(reader).has_value());
  EXPECT_EQ(reader.sequence(), 2u);
}

}  // namespace
}  // namespace tidegate::nats::detail
