#include "nats/detail/jetstream.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

#include "core/detail/json_tree.h"
#include "core/detail/octet_text.h"
#include "tidegate/core/json.h"

namespace tidegate::nats::detail {
namespace {

using tidegate::detail::JsonRef;
using tidegate::detail::JsonTree;

/// Refusals that pass: no leader, no quorum, a server that has just started, a message whose first copy is still under
/// way.
const std::set<int> kPassing{10005, 10008, 10009, 10023, 10118, 10119, 10158};

/// Those that stay until somebody makes room, though their code says that the service is unavailable.
const std::set<int> kFull{10028, 10047, 10077};

std::string jsonText(std::string_view text) {
  std::string out;
  appendJsonString(text, out);
  return out;
}

std::uint64_t numberIn(const JsonRef& node, std::string_view name) {
  const auto found = node.find(name);
  return found ? found->uint64() : 0;
}

std::string textIn(const JsonRef& node, std::string_view name) {
  const auto found = node.find(name);
  return found ? found->string() : std::string();
}

ApiError errorIn(const JsonRef& root) {
  const auto error = root.find("error");
  if (!error) return {};
  ApiError read{.code = static_cast<int>(numberIn(*error, "code")),
                .errorCode = static_cast<int>(numberIn(*error, "err_code")),
                .description = textIn(*error, "description")};
  if (read.errorCode == 0) read.errorCode = read.code != 0 ? read.code : 1;
  return read;
}

StreamInfo infoFrom(const std::string& answer) {
  const JsonTree tree(answer);
  const JsonRef root = tree.root(), state = root.member("state");
  StreamInfo info{.messages = numberIn(state, "messages"),
                  .bytes = numberIn(state, "bytes"),
                  .firstSequence = numberIn(state, "first_seq"),
                  .lastSequence = numberIn(state, "last_seq"),
                  .created = textIn(root, "created")};
  if (const auto cluster = root.find("cluster")) info.leader = textIn(*cluster, "leader");
  if (const auto config = root.find("config")) {
    const auto subjects = config->find("subjects");
    if (subjects && subjects->kind() == tidegate::detail::JsonKind::array && !subjects->items().empty()) {
      info.subject = subjects->items().front().string();
    }
    info.replicas = numberIn(*config, "num_replicas");
    if (const auto metadata = config->find("metadata")) info.version = textIn(*metadata, "_nats.ver");
    if (info.subject.ends_with(".>")) info.subject.resize(info.subject.size() - 2);
  }
  return info;
}

std::string specJson(const StreamSpec& spec) {
  std::string subjects;
  for (const std::string& subject : spec.subjects) subjects += (subjects.empty() ? "" : ",") + jsonText(subject);
  const StreamOptions& o = spec.options;
  std::string json = fmt::format(
      R"({{"name":{},"subjects":[{}],"retention":"limits","discard":"{}","storage":"{}","num_replicas":{},)"
      R"("max_age":{},"max_bytes":{},"max_msgs_per_subject":{},"allow_direct":true,"deny_delete":{},)"
      R"("allow_rollup_hdrs":{})",
      jsonText(spec.name), subjects, spec.discardNew ? "new" : "old", o.storage == Storage::memory ? "memory" : "file",
      o.replicas, std::chrono::nanoseconds(o.maxAge).count(), o.maxBytes == 0 ? "-1" : std::to_string(o.maxBytes),
      spec.perSubject == 0 ? -1 : spec.perSubject, spec.denyDelete, spec.allowRollup);
  // A window beyond the age of what is kept is refused.
  auto window = o.window;
  if (o.maxAge.count() > 0) window = std::min(window, o.maxAge);
  if (window.count() > 0) json += fmt::format(R"(,"duplicate_window":{})", std::chrono::nanoseconds(window).count());
  return json + "}";
}

}  // namespace

bool isPassing(const ApiError& error) noexcept {
  return kPassing.contains(error.errorCode) || (error.code == 503 && !kFull.contains(error.errorCode));
}

void throwApiError(const ApiError& error, const std::string& what) {
  const std::string text =
      fmt::format("nats: {}: {} (JetStream error {})", what, redactSecrets(error.description), error.errorCode);
  if (isPassing(error)) {
    throw Error(ErrorCode::connectionFailed, Retry::later, text);
  }
  if (error.errorCode == kNoStream) {
    throw Error(ErrorCode::tableNotFound, Retry::afterOperator, text + "; make the stream, or set createMissing");
  }
  throw Error(ErrorCode::queryFailed, Retry::afterOperator, text);
}

std::string subjectToken(std::string_view name) {
  std::string token;
  for (const char c : name) {
    const bool plain =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    if (plain)
      token.push_back(c);
    else
      token += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return token;
}

PublishAck parseAck(std::string_view json) {
  // Answers look alike, and there is one for each message: {"stream":"S", "seq":7} or {"stream":"S","domain":…}.
  constexpr std::string_view kSeq = "\"seq\":";
  PublishAck ack;
  const std::size_t at = json.rfind(kSeq);
  if (at != std::string_view::npos && json.find("\"error\"") == std::string_view::npos) {
    const char* begin = json.data() + at + kSeq.size();
    const auto [end, error] = std::from_chars(begin, json.data() + json.size(), ack.sequence);
    if (error == std::errc() && end != begin && ack.sequence != 0) {
      ack.duplicate = json.find("\"duplicate\"") != std::string_view::npos;
      return ack;
    }
  }
  const JsonTree tree(json);
  ack.sequence = 0;
  ack.error = errorIn(tree.root());
  if (ack.error.errorCode == 0) tree.root().fail("neither a sequence nor an error");
  return ack;
}

std::string_view Stored::header(std::string_view name) const {
  std::string_view left = headers;
  while (!left.empty()) {
    const std::size_t end = left.find("\r\n");
    const std::string_view line = left.substr(0, end);
    if (line.size() > name.size() && line[name.size()] == ':' && line.substr(0, name.size()) == name) {
      std::string_view value = line.substr(name.size() + 1);
      while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
      return value;
    }
    if (end == std::string_view::npos) break;
    left.remove_prefix(end + 2);
  }
  return {};
}

std::optional<std::string> JetStream::call(const std::string& subject, const std::string& body, Effect effect,
                                           const std::string& what, const std::vector<int>& expected,
                                           const std::stop_token& stop) {
  std::optional<std::string> result;
  connection_.patiently(stop, [&] {
    const Msg answer = connection_.request("$JS.API." + subject, body, effect, what);
    const std::string_view text = bodyOf(answer.get());
    const JsonTree tree(text);
    const ApiError error = errorIn(tree.root());
    if (error.errorCode == 0) {
      result = std::string(text);
    } else if (std::find(expected.begin(), expected.end(), error.errorCode) == expected.end()) {
      throwApiError(error, what);
    }
  });
  return result;
}

std::optional<StreamInfo> JetStream::find(const std::string& stream, const std::stop_token& stop) {
  const auto answer = call("STREAM.INFO." + stream, "", Effect::none, fmt::format("asking for stream \"{}\"", stream),
                           {kNoStream}, stop);
  return answer ? std::optional(infoFrom(*answer)) : std::nullopt;
}

StreamInfo JetStream::info(const std::string& stream, const std::stop_token& stop) {
  if (const auto found = find(stream, stop)) return *found;
  throwApiError({.code = 404, .errorCode = kNoStream, .description = "stream not found"},
                fmt::format("asking for stream \"{}\"", stream));
}

StreamInfo JetStream::ensure(const StreamSpec& spec, const std::stop_token& stop) {
  if (const auto found = find(spec.name, stop)) return *found;
  if (!spec.options.createMissing) return info(spec.name, stop);
  // Making what was made meanwhile, with the same options, is no error.
  const auto answer = call("STREAM.CREATE." + spec.name, specJson(spec), Effect::none,
                           fmt::format("making stream \"{}\"", spec.name), {10058}, stop);
  return answer ? infoFrom(*answer) : info(spec.name, stop);
}

void JetStream::remove(const std::string& stream) {
  call("STREAM.DELETE." + stream, "", Effect::none, fmt::format("removing stream \"{}\"", stream), {kNoStream}, {});
}

std::optional<Stored> JetStream::getBy(const std::string& stream, const std::string& body, const std::string& what,
                                       const std::stop_token& stop) {
  const auto answer = call("STREAM.MSG.GET." + stream, body, Effect::none, what, {kNoMessage}, stop);
  if (!answer) return std::nullopt;
  const JsonTree tree(*answer);
  const JsonRef message = tree.root().member("message");
  Stored stored{.sequence = numberIn(message, "seq"), .subject = textIn(message, "subject")};
  const auto decode = [&](const char* name, std::string& out) {
    const auto text = message.find(name);
    if (text && !tidegate::detail::appendFromBase64(text->string(), out)) text->fail("expected base64");
  };
  decode("hdrs", stored.headers);
  decode("data", stored.body);
  return stored;
}

std::optional<Stored> JetStream::get(const std::string& stream, std::uint64_t sequence, const std::stop_token& stop) {
  return getBy(stream, fmt::format(R"({{"seq":{}}})", sequence),
               fmt::format("reading message {} of stream \"{}\"", sequence, stream), stop);
}

std::optional<Stored> JetStream::last(const std::string& stream, const std::string& subject,
                                      const std::stop_token& stop) {
  return getBy(stream, fmt::format(R"({{"last_by_subj":{}}})", jsonText(subject)),
               fmt::format("reading the last message on \"{}\"", subject), stop);
}

std::optional<Stored> JetStream::next(const std::string& stream, const std::string& subject, std::uint64_t sequence,
                                      const std::stop_token& stop) {
  return getBy(stream, fmt::format(R"({{"seq":{},"next_by_subj":{}}})", sequence, jsonText(subject)),
               fmt::format("reading the message on \"{}\" after {}", subject, sequence), stop);
}

std::vector<std::string> JetStream::subjects(const std::string& stream, const std::string& filter) {
  const auto answer = call("STREAM.INFO." + stream, fmt::format(R"({{"subjects_filter":{}}})", jsonText(filter)),
                           Effect::none, fmt::format("listing subjects of stream \"{}\"", stream), {}, {});
  const JsonTree tree(*answer);
  std::vector<std::string> found;
  const auto subjects = tree.root().member("state").find("subjects");
  if (!subjects || subjects->isNull()) return found;
  for (const JsonRef& subject : subjects->members()) found.push_back(subject.key());
  return found;
}

void JetStream::purge(const std::string& stream, std::uint64_t before, const std::string& subject) {
  const std::string filter = subject.empty() ? "" : fmt::format(R"(,"filter":{})", jsonText(subject));
  const std::string which = before != 0 ? fmt::format(R"("seq":{}{})", before, filter)
                                        : filter.substr(std::min<std::size_t>(filter.size(), 1));
  call("STREAM.PURGE." + stream, "{" + which + "}", Effect::none,
       fmt::format("dropping messages of stream \"{}\"", stream), {}, {});
}

std::string JetStream::makeConsumer(const std::string& stream, std::uint64_t sequence, const std::string& subject) {
  std::string config = fmt::format(
      R"("deliver_policy":"by_start_sequence","opt_start_seq":{},"ack_policy":"none","replay_policy":"instant",)"
      R"("inactive_threshold":30000000000,"num_replicas":1,"mem_storage":true,"max_waiting":64)",
      std::max<std::uint64_t>(sequence, 1));
  if (!subject.empty()) config += fmt::format(R"(,"filter_subject":{})", jsonText(subject));
  const auto answer = call("CONSUMER.CREATE." + stream,
                           fmt::format(R"({{"stream_name":{},"config":{{{}}}}})", jsonText(stream), config),
                           Effect::none, fmt::format("making a consumer of stream \"{}\"", stream), {}, {});
  const JsonTree tree(*answer);
  return tree.root().member("name").string();
}

void JetStream::ensureWakes(const std::string& stream, const std::string& name, const std::string& subject,
                            const std::string& deliverTo) {
  const std::string what = fmt::format("making consumer \"{}\" of stream \"{}\"", name, stream);
  if (call("CONSUMER.INFO." + stream + "." + name, "", Effect::none, what, {kNoConsumer}, {})) return;
  const std::string config =
      fmt::format(R"("durable_name":{},"deliver_policy":"new","ack_policy":"none","replay_policy":"instant",)"
                  R"("headers_only":true,"deliver_subject":{},"filter_subject":{})",
                  jsonText(name), jsonText(deliverTo), jsonText(subject));
  // Another gateway may make it at the same time.
  call("CONSUMER.DURABLE.CREATE." + stream + "." + name,
       fmt::format(R"({{"stream_name":{},"config":{{{}}}}})", jsonText(stream), config), Effect::none, what,
       {10013, 10105}, {});
}

void JetStream::removeConsumer(const std::string& stream, const std::string& consumer) noexcept {
  try {
    connection_.publish("$JS.API.CONSUMER.DELETE." + stream + "." + consumer, "", "");
  } catch (...) {  // the server forgets it by itself
  }
}

}  // namespace tidegate::nats::detail
