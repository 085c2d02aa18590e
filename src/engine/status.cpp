#include "tidegate/engine/status.h"

#include <fmt/format.h>

#include "tidegate/core/json.h"

namespace tidegate {
namespace {

/// Appends members to a JSON object.
class ObjectWriter {
 public:
  explicit ObjectWriter(std::string& out) : out_(out) { out_ += '{'; }
  void text(std::string_view name, std::string_view value) {
    member(name);
    appendJsonString(value, out_);
  }
  template <class Number>
  void number(std::string_view name, Number value) {
    member(name);
    out_ += fmt::format("{}", value);
  }
  void flag(std::string_view name, bool value) {
    member(name);
    out_ += value ? "true" : "false";
  }
  template <class Duration>
  void millis(std::string_view name, const std::optional<Duration>& value) {
    member(name);
    out_ += value ? std::to_string(value->count()) : "null";
  }
  void optionalText(std::string_view name, const std::optional<std::string>& value) {
    member(name);
    if (value)
      appendJsonString(*value, out_);
    else
      out_ += "null";
  }
  void optionalNumber(std::string_view name, const std::optional<std::uint64_t>& value) {
    member(name);
    out_ += value ? std::to_string(*value) : "null";
  }
  template <class List, class Each>
  void list(std::string_view name, const List& items, const Each& each) {
    member(name);
    out_ += '[';
    const char* comma = "";
    for (const auto& item : items) {
      out_ += comma;
      comma = ",";
      each(item, out_);
    }
    out_ += ']';
  }
  void end() { out_ += '}'; }

 private:
  void member(std::string_view name) {
    if (!first_) out_ += ',';
    first_ = false;
    appendJsonString(name, out_);
    out_ += ':';
  }
  std::string& out_;
  bool first_ = true;
};

void appendTable(const TableStatus& table, std::string& out) {
  ObjectWriter object(out);
  object.text("table", table.table);
  object.text("target", table.target);
  object.flag("ready", table.ready);
  object.number("baselineRows", table.baselineRows);
  object.number("changes", table.changes);
  object.number("filtered", table.filtered);
  object.end();
}

void appendPipeline(const PipelineStatus& pipeline, std::string& out) {
  ObjectWriter object(out);
  object.text("name", pipeline.name);
  object.text("source", pipeline.source);
  object.text("state", toString(pipeline.state));
  object.list("tables", pipeline.tables, appendTable);
  object.text("durablePosition", pipeline.durablePosition);
  object.number("queuedEvents", pipeline.queuedEvents);
  object.number("queuedBytes", pipeline.queuedBytes);
  object.number("applied", pipeline.applied);
  object.number("commits", pipeline.commits);
  object.number("retries", pipeline.retries);
  object.number("deadLetters", pipeline.deadLetters);
  object.number("dropped", pipeline.dropped);
  object.number("eventsPerSecond", pipeline.eventsPerSecond);
  object.millis("lagMillis", pipeline.lag);
  object.optionalText("lastError", pipeline.lastError);
  object.end();
}

void appendSource(const SourceStatus& source, std::string& out) {
  ObjectWriter object(out);
  object.text("name", source.name);
  object.text("state", toString(source.state));
  object.text("receivedPosition", source.receivedPosition);
  object.text("ackedPosition", source.ackedPosition);
  object.optionalNumber("lagBytes", source.lag.bytes);
  object.millis("lagMillis", source.lag.time);
  object.optionalNumber("retainedBytes", source.lag.retainedBytes);
  object.optionalNumber("lagRecords", source.lag.records);
  object.number("events", source.events);
  object.number("reconnects", source.reconnects);
  object.optionalText("lastError", source.lastError);
  object.end();
}

}  // namespace

std::string_view toString(PipelineState state) noexcept {
  switch (state) {
    case PipelineState::starting:
      return "starting";
    case PipelineState::baselining:
      return "baselining";
    case PipelineState::streaming:
      return "streaming";
    case PipelineState::retrying:
      return "retrying";
    case PipelineState::isolated:
      return "isolated";
    case PipelineState::stopped:
      return "stopped";
  }
  return "?";
}

std::string toJson(const EngineStatus& status) {
  std::string out;
  ObjectWriter object(out);
  object.flag("running", status.running);
  object.flag("paused", status.paused);
  object.flag("ready", status.ready);
  object.list("sources", status.sources, appendSource);
  object.list("pipelines", status.pipelines, appendPipeline);
  object.end();
  return out;
}

}  // namespace tidegate
