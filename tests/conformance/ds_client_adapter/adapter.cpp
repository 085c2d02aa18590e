#include "conformance/ds_client_adapter/adapter.h"

namespace tidegate::conformance {

using durable_streams::DurableStream;
using durable_streams::DurableStreamClient;
using durable_streams::DurableStreamClientOptions;

namespace {

std::string textOf(const Json& command, const char* name, std::string otherwise = {}) {
  const auto at = command.find(name);
  return at == command.end() || at->is_null() ? std::move(otherwise) : at->get<std::string>();
}

std::string computed(DynamicValue& value) {
  if (value.kind == "counter") {
    value.sent = std::to_string(++value.counter);
  } else if (value.kind == "timestamp") {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    value.sent = std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
  } else {
    value.sent = value.token;
  }
  return value.sent;
}

void addDynamic(durable_streams::RequestFields& fields, std::map<std::string, DynamicValue>& values) {
  for (auto& [name, value] : values) {
    fields.emplace_back(name, [&value = value] { return computed(value); });
  }
}

Json success(std::string_view type) { return {{"type", type}, {"success", true}}; }

}  // namespace

const std::map<std::string, Adapter::Handler, std::less<>>& Adapter::handlers() {
  static const std::map<std::string, Handler, std::less<>> kHandlers{
      {"init", &Adapter::init},
      {"shutdown", &Adapter::shutdown},
      {"create", &Adapter::create},
      {"connect", &Adapter::connect},
      {"head", &Adapter::head},
      {"delete", &Adapter::remove},
      {"append", &Adapter::append},
      {"close", &Adapter::close},
      {"read", &Adapter::read},
      {"idempotent-append", &Adapter::idempotentAppend},
      {"idempotent-append-batch", &Adapter::idempotentAppendBatch},
      {"idempotent-close", &Adapter::idempotentClose},
      {"idempotent-detach", &Adapter::idempotentDetach},
      {"set-dynamic-header", &Adapter::setDynamicHeader},
      {"set-dynamic-param", &Adapter::setDynamicParam},
      {"clear-dynamic", &Adapter::clearDynamic},
      {"validate", &Adapter::validate},
      {"benchmark", &Adapter::benchmark}};
  return kHandlers;
}

std::string Adapter::handle(std::string_view line) {
  std::string type = "init";
  Json result;
  try {
    const Json command = Json::parse(line);
    type = command.at("type").get<std::string>();
    const auto at = handlers().find(type);
    if (at == handlers().end()) {
      result = {{"type", "error"},
                {"success", false},
                {"commandType", type},
                {"errorCode", "NOT_SUPPORTED"},
                {"message", "unknown command: " + type}};
    } else {
      result = (this->*at->second)(command);
    }
  } catch (const std::exception& e) {
    result = failureOf(type, e);
  }
  return result.dump(-1, ' ', false, Json::error_handler_t::replace);
}

DurableStreamClient Adapter::clientFor(const Command& command, bool dynamic) {
  DurableStreamClientOptions options{.url = server_, .retry = adapterRetries()};
  if (dynamic) {
    addDynamic(options.headers, dynamicHeaders_);
    addDynamic(options.params, dynamicParams_);
  }
  if (const auto own = command.find("headers"); own != command.end() && own->is_object()) {
    for (const auto& [name, value] : own->items()) options.headers.emplace_back(name, value.get<std::string>());
  }
  if (!options.headers.empty() || !options.params.empty()) return DurableStreamClient(std::move(options));
  if (!plain_) plain_.emplace(std::move(options));
  return *plain_;
}

DurableStream Adapter::streamFor(const Command& command, bool dynamic) {
  return clientFor(command, dynamic).stream(command.at("path").get<std::string>());
}

std::string Adapter::typeOf(const std::string& path) const {
  const auto at = types_.find(path);
  return at == types_.end() ? std::string() : at->second;
}

void Adapter::reportSent(Json& result) const {
  for (const auto& [name, value] : dynamicHeaders_) result["headersSent"][name] = value.sent;
  for (const auto& [name, value] : dynamicParams_) result["paramsSent"][name] = value.sent;
}

Json Adapter::init(const Command& command) {
  server_ = command.at("serverUrl").get<std::string>();
  types_.clear();
  producers_.clear();
  dynamicHeaders_.clear();
  dynamicParams_.clear();
  plain_.reset();
  Json result = success("init");
  result["clientName"] = "tidegate";
  result["clientVersion"] = "0.1.0";
  for (const char* feature : {"batching", "sse", "longPoll", "auto", "streaming", "dynamicHeaders", "retryOptions",
                              "batchItems", "strictZeroValidation"}) {
    result["features"][feature] = true;
  }
  return result;
}

Json Adapter::shutdown(const Command&) {
  finished_ = true;
  return success("shutdown");
}

Json Adapter::create(const Command& command) {
  const std::string path = command.at("path").get<std::string>();
  durable_streams::CreateOptions options{.contentType = textOf(command, "contentType", "application/octet-stream"),
                                         .expiresAt = textOf(command, "expiresAt"),
                                         .closed = command.value("closed", false)};
  if (command.contains("ttlSeconds")) options.ttl = std::chrono::seconds(command["ttlSeconds"].get<std::int64_t>());
  if (command.contains("data")) options.first = command["data"].get<std::string>();
  const auto head = streamFor(command).create(options);
  types_[path] = options.contentType;
  Json result = success("create");
  result["status"] = head.created ? 201 : 200;
  result["offset"] = head.offset;
  return result;
}

Json Adapter::connect(const Command& command) {
  const auto head = streamFor(command).head();
  types_[command["path"].get<std::string>()] = head.contentType;
  Json result = success("connect");
  result["status"] = 200;
  result["offset"] = head.offset;
  return result;
}

Json Adapter::head(const Command& command) {
  const auto head = streamFor(command).head();
  types_[command["path"].get<std::string>()] = head.contentType;
  Json result = success("head");
  result["status"] = 200;
  result["offset"] = head.offset;
  result["contentType"] = head.contentType;
  result["streamClosed"] = head.closed;
  if (head.ttl) result["ttlSeconds"] = head.ttl->count();
  if (!head.expiresAt.empty()) result["expiresAt"] = head.expiresAt;
  return result;
}

Json Adapter::remove(const Command& command) {
  DurableStream stream = streamFor(command);
  if (!stream.remove()) {
    return {{"type", "error"}, {"success", false},         {"commandType", "delete"},
            {"status", 404},   {"errorCode", "NOT_FOUND"}, {"message", "there is no stream " + stream.url()}};
  }
  types_.erase(command["path"].get<std::string>());
  Json result = success("delete");
  result["status"] = 200;
  return result;
}

Json Adapter::setDynamicHeader(const Command& command) {
  dynamicHeaders_[command.at("name").get<std::string>()] = {.kind = command.at("valueType").get<std::string>(),
                                                            .token = textOf(command, "initialValue")};
  return success("set-dynamic-header");
}

Json Adapter::setDynamicParam(const Command& command) {
  dynamicParams_[command.at("name").get<std::string>()] = {.kind = command.at("valueType").get<std::string>()};
  return success("set-dynamic-param");
}

Json Adapter::clearDynamic(const Command&) {
  dynamicHeaders_.clear();
  dynamicParams_.clear();
  return success("clear-dynamic");
}

}  // namespace tidegate::conformance
