/// The commands that write and read.
#include "conformance/ds_client_adapter/adapter.h"
#include "durable_streams/detail/base64_decode.h"

namespace tidegate::conformance {

using namespace durable_streams;
using std::chrono::milliseconds;

namespace {

Json done(std::string_view type) { return {{"type", type}, {"success", true}, {"status", 200}}; }

Live liveOf(const Json& command) {
  const auto live = command.find("live");
  if (live == command.end() || live->is_null()) return Live::no;
  if (live->is_boolean()) return live->get<bool>() ? Live::automatic : Live::no;
  return live->get<std::string>() == "sse" ? Live::sse : Live::longPoll;
}

/// As the suite shows JSON: without blanks.
std::string shown(const Chunk& chunk) { return chunk.json ? Json::parse(chunk.data).dump() : chunk.data; }

/// One long answer: the suite counts a read without live mode as one chunk.
void append(Json& chunks, const Chunk& chunk, bool merge) {
  std::string data = shown(chunk);
  if (merge && !chunks.empty()) {
    std::string before = chunks.back()["data"].get<std::string>();
    if (chunk.json) {
      before.back() = ',';
      data.erase(0, 1);
    }
    chunks.back() = {{"data", before + data}, {"offset", chunk.nextOffset}};
  } else {
    chunks.push_back({{"data", std::move(data)}, {"offset", chunk.nextOffset}});
  }
}

}  // namespace

Json Adapter::append(const Command& command) {
  const std::string path = command.at("path").get<std::string>();
  std::string data = command.at("data").get<std::string>();
  if (command.value("binary", false)) {
    auto octets = durable_streams::detail::decodeBase64Lines(data);
    if (!octets) throw Error(ErrorCode::invalidArgument, Retry::never, "data: no base64");
    data = *std::move(octets);
  }
  AppendOptions options{.contentType = typeOf(path)};
  if (command.contains("seq")) options.seq = std::to_string(command["seq"].get<std::int64_t>());
  if (command.contains("producerId")) {
    options.stamp = WriteStamp{.producerId = command["producerId"].get<std::string>(),
                               .epoch = command.value("producerEpoch", std::uint64_t{0}),
                               .seq = command.value("producerSeq", std::uint64_t{0})};
  }
  const Appended appended = streamFor(command, true).append(data, options);
  Json result = done("append");
  result["offset"] = appended.offset;
  if (options.stamp) result["duplicate"] = appended.duplicate;
  if (appended.producerSeq) result["producerSeq"] = *appended.producerSeq;
  reportSent(result);
  return result;
}

Json Adapter::close(const Command& command) {
  CloseOptions options{.contentType = typeOf(command.at("path").get<std::string>())};
  if (command.contains("contentType")) options.contentType = command["contentType"].get<std::string>();
  if (command.contains("data")) options.last = command["data"].get<std::string>();
  const Appended closed = streamFor(command).close(options);
  return {{"type", "close"}, {"success", true}, {"finalOffset", closed.offset}};
}

Json Adapter::read(const Command& command) {
  const Live live = liveOf(command);
  const auto until = std::chrono::steady_clock::now() + milliseconds(command.value("timeoutMs", 5000));
  const std::size_t most = command.value("maxChunks", std::size_t{100});
  const bool untilUpToDate = command.value("waitForUpToDate", false);
  ReadOptions options{.live = live};
  if (command.contains("offset")) options.offset = command["offset"].get<std::string>();
  Reader reader = streamFor(command, true).reader(options);
  Json chunks = Json::array();
  while (!reader.ended() && chunks.size() < most) {
    const auto left = std::chrono::ceil<milliseconds>(until - std::chrono::steady_clock::now());
    const auto chunk = reader.next(std::max(left, milliseconds(0)));
    if (!chunk) break;
    if (!chunk->data.empty()) conformance::append(chunks, *chunk, live == Live::no);
    if (untilUpToDate && chunk->upToDate) break;
  }
  Json result = done("read");
  result["status"] = reader.stats().lastStatus;
  result["chunks"] = std::move(chunks);
  result["offset"] = reader.offset();
  result["upToDate"] = reader.place().upToDate;
  result["streamClosed"] = reader.place().closed;
  reportSent(result);
  return result;
}

Producer& Adapter::producerFor(const Command& command) {
  const std::string path = command.at("path").get<std::string>();
  const std::string id = command.at("producerId").get<std::string>();
  const auto epoch = command.value("epoch", std::uint64_t{0});
  const std::string key = path + "|" + id + "|" + std::to_string(epoch);
  if (const auto at = producers_.find(key); at != producers_.end()) return at->second;
  const bool claims = command.value("autoClaim", false);
  Producer producer = streamFor(command).producer({.id = id,
                                                   .epoch = epoch,
                                                   .claim = claims ? Claim::first : Claim::never,
                                                   .contentType = typeOf(path),
                                                   .maxInFlight = 1,
                                                   .linger = milliseconds(0),
                                                   .acceptForeignDuplicates = !claims});
  return producers_.emplace(key, std::move(producer)).first->second;
}

Json Adapter::idempotentAppend(const Command& command) {
  Producer& producer = producerFor(command);
  producer.append(command.at("data").get<std::string>());
  producer.flush();
  return done("idempotent-append");
}

Json Adapter::idempotentAppendBatch(const Command& command) {
  const std::string path = command.at("path").get<std::string>();
  const bool claims = command.value("autoClaim", false);
  const auto inFlight = command.value("maxInFlight", std::size_t{1});
  // Several under way: as many batches as messages, so that they do race.
  Producer producer = streamFor(command).producer({.id = command.at("producerId").get<std::string>(),
                                                   .epoch = command.value("epoch", std::uint64_t{0}),
                                                   .claim = claims ? Claim::first : Claim::never,
                                                   .contentType = typeOf(path),
                                                   .maxBatchBytes = inFlight > 1 ? 1u : 1u << 20,
                                                   .maxInFlight = inFlight,
                                                   .linger = milliseconds(inFlight > 1 ? 0 : 1000),
                                                   .acceptForeignDuplicates = !claims});
  for (const Json& item : command.at("items")) producer.append(item.get<std::string>());
  producer.flush();
  producer.detach();
  return done("idempotent-append-batch");
}

Json Adapter::idempotentClose(const Command& command) {
  Producer& producer = producerFor(command);
  std::optional<std::string> last;
  if (command.contains("data")) last = command["data"].get<std::string>();
  const Receipt closed = last ? producer.close(*last) : producer.close();
  Json result = done("idempotent-close");
  result["finalOffset"] = closed.offset;
  return result;
}

Json Adapter::idempotentDetach(const Command& command) {
  const std::string key = command.at("path").get<std::string>() + "|" + command.at("producerId").get<std::string>() +
                          "|" + std::to_string(command.value("epoch", std::uint64_t{0}));
  if (const auto at = producers_.find(key); at != producers_.end()) {
    at->second.detach();
    producers_.erase(at);
  }
  return done("idempotent-detach");
}

}  // namespace tidegate::conformance
