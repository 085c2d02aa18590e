#include "durable_streams/faulty_server.h"

#include <list>
#include <mutex>

#include "core/detail/octet_text.h"
#include "durable_streams/detail/protocol.h"
#include "tidegate/http/sse.h"

namespace tidegate::durable_streams::test {

using http::BodyStream;
using http::Request;
using http::Responder;
using http::Response;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds kLook{5};  ///< between two looks of a live reader

std::string encoded(const ModelStream& stream, const std::string& octets) {
  const bool text = stream.json() || stream.contentType.starts_with("text/");
  return text ? octets : tidegate::detail::base64Of(octets);
}

bool isText(const ModelStream& stream) { return stream.json() || stream.contentType.starts_with("text/"); }

}  // namespace

struct FaultyServer::State : std::enable_shared_from_this<State> {
  /// A reader that waits for more.
  struct LivePoll {
    Request request;
    Responder answer;
    std::size_t index = 0;
    std::chrono::steady_clock::time_point until;
  };
  struct Events {
    std::string path;
    BodyStream body;
    std::size_t index = 0;
    bool told = false;
    std::chrono::steady_clock::time_point until;
  };

  explicit State(Options given) : options(given) {}

  Options options;
  mutable std::mutex mutex;
  ModelStreams streams;
  std::list<Fault> faults;
  std::vector<SeenRequest> requests;

  void handle(Request&& request, Responder answer);
  std::optional<Fault> takeFault(const Request& request);
  void act(Request&& request, Responder answer, const Fault& fault);
  void reply(Responder answer, Response response, const Fault& fault);
  void poll(std::shared_ptr<LivePoll> poll);
  void startEvents(const Request& request, Responder answer, const Fault& fault);
  void pieces(BodyStream body, std::shared_ptr<Fault> fault, std::size_t next, std::function<void()> then);
  void pump(std::shared_ptr<Events> events);
  bool writeEvents(Events& events);
};

std::optional<Fault> FaultyServer::State::takeFault(const Request& request) {
  const std::string live = http::queryParameter(request.query, "live").value_or("");
  for (auto at = faults.begin(); at != faults.end(); ++at) {
    if (!at->method.empty() && at->method != request.method) continue;
    if (!at->path.empty() && at->path != request.path) continue;
    if (!at->live.empty() && at->live != live) continue;
    if (at->skip > 0) {
      --at->skip;
      return std::nullopt;
    }
    Fault fault = *at;
    if (--at->count == 0) faults.erase(at);
    return fault;
  }
  return std::nullopt;
}

void FaultyServer::State::handle(Request&& request, Responder answer) {
  std::optional<Fault> fault;
  {
    const std::lock_guard lock(mutex);
    requests.push_back({request.method, request.path, request.query, request.headers, request.body});
    fault = takeFault(request);
  }
  if (!fault) fault.emplace();
  if (fault->delay.count() > 0) {
    auto kept = std::make_shared<Responder>(std::move(answer));
    const auto delay = fault->delay;
    kept->after(delay, [self = shared_from_this(), kept, request = std::move(request), fault]() mutable {
      self->act(std::move(request), std::move(*kept), *fault);
    });
    return;
  }
  act(std::move(request), std::move(answer), *fault);
}

void FaultyServer::State::act(Request&& request, Responder answer, const Fault& fault) {
  if (fault.drop) return answer.stream(200, {}).abort();
  if (fault.status) {
    Response refused{.status = *fault.status, .body = "as the test asked"};
    if (!fault.retryAfter.empty()) refused.headers.set("retry-after", fault.retryAfter);
    return answer.send(std::move(refused));
  }
  const std::string live = http::queryParameter(request.query, "live").value_or("");
  if (request.method == "GET" && live == "sse") return startEvents(request, std::move(answer), fault);
  if (request.method == "GET" && live == "long-poll") {
    auto waiting = std::make_shared<LivePoll>(
        LivePoll{std::move(request), std::move(answer), 0, std::chrono::steady_clock::now() + options.longPoll});
    {
      // "now" is now, not when something came.
      const std::lock_guard lock(mutex);
      if (const ModelStream* stream = streams.find(waiting->request.path)) {
        const auto offset = http::queryParameter(waiting->request.query, "offset").value_or("-1");
        waiting->index = ModelStreams::indexOf(*stream, offset).value_or(0);
      }
    }
    return poll(std::move(waiting));
  }
  Response response;
  {
    const std::lock_guard lock(mutex);
    response = streams.handle(request);
  }
  reply(std::move(answer), std::move(response), fault);
}

void FaultyServer::State::reply(Responder answer, Response response, const Fault& fault) {
  if (fault.dropAfter) return answer.stream(200, {}).abort();
  if (!fault.removeHeader.empty()) response.headers.remove(fault.removeHeader);
  if (fault.body) response.body = *fault.body;
  if (fault.truncate) response.body.resize(std::min(*fault.truncate, response.body.size()));
  if (!fault.cutAfter) return answer.send(std::move(response));
  const BodyStream body = answer.stream(response.status, response.headers);
  body.onDrained([body] { body.abort(); });
  if (*fault.cutAfter == 0) return body.abort();
  body.write(response.body.substr(0, *fault.cutAfter));
}

void FaultyServer::State::poll(std::shared_ptr<LivePoll> poll) {
  std::unique_lock lock(mutex);
  const ModelStream* stream = streams.find(poll->request.path);
  const bool over = std::chrono::steady_clock::now() >= poll->until;
  if (stream && stream->messages.size() <= poll->index && !stream->closed && !over) {
    lock.unlock();
    Responder& answer = poll->answer;
    answer.after(kLook, [self = shared_from_this(), poll = std::move(poll)]() mutable { self->poll(std::move(poll)); });
    return;
  }
  Response response;
  if (!stream) {
    response = {.status = 404, .body = "no such stream"};
  } else {
    poll->request.query = "offset=" + ModelStreams::offsetAt(poll->index);
    response = streams.handle(poll->request);
    response.headers.set("stream-cursor", "7");
    if (stream->messages.size() <= poll->index) {
      response.status = 204;
      response.body.clear();
    }
  }
  lock.unlock();
  poll->answer.send(std::move(response));
}

void FaultyServer::State::startEvents(const Request& request, Responder answer, const Fault& fault) {
  std::unique_lock lock(mutex);
  const ModelStream* stream = streams.find(request.path);
  if (!stream) {
    lock.unlock();
    return answer.send({.status = 404, .body = "no such stream"});
  }
  const auto offset = http::queryParameter(request.query, "offset").value_or("-1");
  const std::size_t index = ModelStreams::indexOf(*stream, offset).value_or(0);
  http::Headers headers{{"content-type", "text/event-stream"}};
  if (fault.base64 || !isText(*stream)) headers.set("stream-sse-data-encoding", "base64");
  lock.unlock();
  const BodyStream body = answer.stream(200, std::move(headers));
  auto events = std::make_shared<Events>(
      Events{request.path, body, index, false, std::chrono::steady_clock::now() + options.sseDuration});
  auto real = [self = shared_from_this(), events] { self->pump(events); };
  if (fault.pieces.empty()) return real();
  auto shared = std::make_shared<Fault>(fault);
  pieces(body, shared, 0, fault.goOn ? std::function<void()>(real) : std::function<void()>());
}

void FaultyServer::State::pieces(BodyStream body, std::shared_ptr<Fault> fault, std::size_t next,
                                 std::function<void()> then) {
  if (next == fault->pieces.size()) {
    body.onDrained([] {});
    if (then) return then();
    return fault->cutAtEnd ? body.abort() : body.end();
  }
  body.onDrained([self = shared_from_this(), body, fault, next, then] { self->pieces(body, fault, next + 1, then); });
  body.write(fault->pieces[next]);
}

/// @return whether the stream goes on.
bool FaultyServer::State::writeEvents(Events& events) {
  const std::lock_guard lock(mutex);
  const ModelStream* stream = streams.find(events.path);
  if (!stream) return false;
  if (stream->messages.size() <= events.index && events.told && !stream->closed) return true;
  std::string text;
  for (; events.index < stream->messages.size(); ++events.index) {
    const std::string& message = stream->messages[events.index];
    http::appendSse(text, "data", encoded(*stream, stream->json() ? "[" + message + "]" : message));
  }
  std::string control = R"({"streamNextOffset":")" + ModelStreams::offsetAt(events.index) + '"';
  control += stream->closed ? R"(,"streamClosed":true})" : R"(,"streamCursor":"7","upToDate":true})";
  http::appendSse(text, "control", control);
  events.told = true;
  events.body.write(text);
  return !stream->closed;
}

void FaultyServer::State::pump(std::shared_ptr<Events> events) {
  if (!writeEvents(*events) || std::chrono::steady_clock::now() >= events->until) return events->body.end();
  if (events->body.pending() == BodyStream::kGone) return;
  const BodyStream& body = events->body;
  body.after(kLook, [self = shared_from_this(), events] { self->pump(events); });
}

FaultyServer::FaultyServer(Options options) : state_(std::make_shared<State>(options)) {
  server_ = std::make_unique<http::Server>(
      http::ServerOptions{.threads = 2},
      [state = state_](Request&& request, Responder answer) { state->handle(std::move(request), std::move(answer)); });
  server_->start();
}

FaultyServer::~FaultyServer() { server_->stop(milliseconds(0)); }

std::string FaultyServer::url() const { return server_->url(); }

void FaultyServer::inject(Fault fault) {
  const std::lock_guard lock(state_->mutex);
  state_->faults.push_back(std::move(fault));
}

void FaultyServer::clearFaults() {
  const std::lock_guard lock(state_->mutex);
  state_->faults.clear();
}

std::vector<SeenRequest> FaultyServer::seen() const {
  const std::lock_guard lock(state_->mutex);
  return state_->requests;
}

void FaultyServer::with(const std::function<void(ModelStreams& streams)>& act) {
  const std::lock_guard lock(state_->mutex);
  act(state_->streams);
}

std::vector<std::string> FaultyServer::messages(std::string_view path) {
  const std::lock_guard lock(state_->mutex);
  const ModelStream* stream = state_->streams.find(path);
  return stream ? stream->messages : std::vector<std::string>();
}

}  // namespace tidegate::durable_streams::test
