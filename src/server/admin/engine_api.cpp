#include "tidegate/server/engine_api.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "server/detail/jobs_schemas.h"
#include "server/detail/json_answers.h"
#include "tidegate/core/json.h"

namespace tidegate::server {
namespace engine_api_detail {

using namespace detail;
using Engines = std::shared_ptr<const std::vector<AdministeredEngine>>;

constexpr std::uint64_t kLettersShown = 50, kMostLettersShown = 1'000;
constexpr std::size_t kMostNameBytes = 64;

/// There is none of that name.
class Unknown : public Error {
 public:
  explicit Unknown(const std::string& what) : Error(ErrorCode::invalidArgument, Retry::never, what) {}
};

void check(const std::vector<AdministeredEngine>& engines) {
  std::set<std::string> seen;
  for (const AdministeredEngine& one : engines) {
    const bool name =
        !one.name.empty() && one.name.size() <= kMostNameBytes &&
        std::all_of(one.name.begin(), one.name.end(), [](char c) {
          return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
        });
    if (name && one.engine != nullptr && seen.insert(one.name).second) continue;
    throw Error(ErrorCode::invalidConfig, Retry::never,
                fmt::format("engine \"{}\": needs an engine, and a name of its own of 1 to {} of A-Z a-z 0-9 _ -",
                            one.name, kMostNameBytes));
  }
}

const AdministeredEngine& engineOf(const Engines& engines, const Call& call) {
  for (const AdministeredEngine& one : *engines) {
    if (one.name == call.path("engine")) return one;
  }
  throw Unknown(fmt::format("there is no engine \"{}\"", call.path("engine").substr(0, kMostNameBytes)));
}

std::string pipelineOf(const AdministeredEngine& one, const Call& call) {
  const EngineStatus status = one.engine->status();
  for (const PipelineStatus& pipeline : status.pipelines) {
    if (pipeline.name == call.path("pipeline")) return pipeline.name;
  }
  throw Unknown(fmt::format("engine \"{}\" has no pipeline \"{}\"", one.name, call.path("pipeline").substr(0, 200)));
}

DeadLetters& lettersOf(const AdministeredEngine& one, const std::string& pipeline) {
  const auto found = one.deadLetters.find(pipeline);
  if (found != one.deadLetters.end() && found->second) return *found->second;
  throw Unknown(fmt::format("pipeline \"{}\" keeps no dead letters: its failure policy is another one", pipeline));
}

std::string described(const AdministeredEngine& one) {
  std::string out = "{\"name\":";
  appendJsonString(one.name, out);
  return out + ",\"status\":" + toJson(one.engine->status()) + "}";
}

nlohmann::ordered_json letterTree(const DeadLetter& letter) {
  nlohmann::ordered_json out;
  out["id"] = letter.id;
  out["pipeline"] = letter.pipeline;
  out["table"] = letter.table;
  out["key"] = letter.key;
  out["position"] = letter.positionText;
  auto event = nlohmann::ordered_json::parse(letter.event, nullptr, false);
  out["event"] = event.is_discarded() ? nlohmann::ordered_json(letter.event) : std::move(event);
  out["error"] = letter.error;
  out["failed_at"] = toIso(Timestamp::utc(letter.failedMicros));
  out["attempts"] = letter.attempts;
  return out;
}

template <class Work>
http::Response guarded(const Work& work) {
  try {
    return work();
  } catch (const BadParameter& e) {
    return problemOf(400, e);
  } catch (const Unknown& e) {
    return problemOf(404, e);
  } catch (const Error& e) {
    if (e.code() == ErrorCode::invalidArgument) return problemOf(404, e);
    if (e.code() == ErrorCode::stopped || e.retry() == Retry::later) return problemOf(503, e);
    return problemOf(422, e);
  }
}

Answer plain(std::string description, std::string schema) {
  return {.description = std::move(description), .mediaType = "application/json", .schema = std::move(schema)};
}

Operation operation(std::string method, std::string pattern, std::string name, std::string summary,
                    std::function<http::Response(const Call&)> work) {
  Operation out;
  out.method = std::move(method);
  out.pattern = std::move(pattern);
  out.name = std::move(name);
  out.summary = std::move(summary);
  out.tag = "engines";
  if (out.pattern.find('{') != std::string::npos) out.answers = {mistake(404, "There is none of that name")};
  out.blocking = [work = std::move(work)](Call&& call) { return guarded([&] { return work(call); }); };
  return out;
}

/// On an engine, answered with how it is then.
void addAct(Api& api, const Engines& engines, const std::string& verb, const std::string& summary,
            void (*act)(Engine&)) {
  Operation out = operation("POST", "/engines/{engine}/" + verb, verb + "Engine", summary, [=](const Call& call) {
    const AdministeredEngine& one = engineOf(engines, call);
    act(*one.engine);
    return jsonAnswer(200, described(one));
  });
  out.answers.push_back(plain("How it is now", schemaReference("NamedEngine")));
  api.add(std::move(out));
}

void addEngines(Api& api, const Engines& engines) {
  Operation list =
      operation("GET", "/engines", "listEngines", "All engines: their sources and pipelines", [engines](const Call&) {
        std::string body;
        for (const AdministeredEngine& one : *engines) {
          body += (body.empty() ? "" : ",") + described(one);
        }
        return jsonAnswer(200, "{\"engines\":[" + body + "]}");
      });
  list.answers.push_back(plain("The engines", R"({"type":"object","properties":{"engines":{"type":"array","items":)" +
                                                  schemaReference("NamedEngine") + R"(}},"required":["engines"]})"));
  api.add(std::move(list));

  Operation get =
      operation("GET", "/engines/{engine}", "getEngine", "An engine: its sources and pipelines",
                [engines](const Call& call) { return jsonAnswer(200, described(engineOf(engines, call))); });
  get.answers.push_back(plain("The engine", schemaReference("NamedEngine")));
  api.add(std::move(get));

  addAct(api, engines, "pause", "Sources stop delivering; what is queued is still applied. Loses nothing",
         [](Engine& one) { one.pause(); });
  addAct(api, engines, "resume", "Ends a pause", [](Engine& one) { one.resume(); });
}

const std::string kPipeline = "/engines/{engine}/pipelines/{pipeline}";

void addPipelines(Api& api, const Engines& engines) {
  Operation reload =
      operation("POST", kPipeline + "/reload", "reloadTable",
                "Reads a table anew and makes its target exact; answers at once", [engines](const Call& call) {
                  const AdministeredEngine& one = engineOf(engines, call);
                  const auto table = http::queryParameter(call.request.query, "table");
                  if (!table || table->empty()) {
                    throw BadParameter("query parameter \"table\" must name a table of the pipeline");
                  }
                  one.engine->reload(pipelineOf(one, call), *table);
                  return jsonAnswer(202, described(one));
                });
  reload.query = {{.name = "table", .description = "the source's name of it", .required = true}};
  Answer begun = plain("It has begun", schemaReference("NamedEngine"));
  begun.status = 202;
  reload.answers.push_back(begun);
  api.add(std::move(reload));

  Operation retry = operation("POST", kPipeline + "/retry", "retryPipeline",
                              "Brings an isolated pipeline back from its last checkpoint", [engines](const Call& call) {
                                const AdministeredEngine& one = engineOf(engines, call);
                                one.engine->retryIsolated(pipelineOf(one, call));
                                return jsonAnswer(202, described(one));
                              });
  retry.answers.push_back(begun);
  api.add(std::move(retry));
}

http::Response listLetters(const Engines& engines, const Call& call) {
  const AdministeredEngine& one = engineOf(engines, call);
  const std::string pipeline = pipelineOf(one, call);
  const DeadLetters& letters = lettersOf(one, pipeline);
  const std::uint64_t after = numberParameter(call, "after", 0, 0, std::numeric_limits<std::uint64_t>::max());
  const std::uint64_t limit = numberParameter(call, "limit", kLettersShown, 1, kMostLettersShown);
  nlohmann::ordered_json body{{"count", letters.count(pipeline)}, {"letters", nlohmann::ordered_json::array()}};
  for (const DeadLetter& letter : letters.read(pipeline, after, limit)) body["letters"].push_back(letterTree(letter));
  return jsonAnswer(200, body.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

/// `id` must be a letter of the pipeline that the path names: the store may hold others'.
http::Response removeLetter(const Engines& engines, const Call& call) {
  const AdministeredEngine& one = engineOf(engines, call);
  const std::string pipeline = pipelineOf(one, call);
  DeadLetters& letters = lettersOf(one, pipeline);
  const std::string id(call.path("id"));
  const bool digits = !id.empty() && id.size() <= 19 && id.find_first_not_of("0123456789") == std::string::npos;
  const std::uint64_t number = digits ? std::stoull(id) : 0;
  const auto found = number > 0 ? letters.read(pipeline, number - 1, 1) : std::vector<DeadLetter>{};
  if (found.empty() || found.front().id != number || !letters.remove(number)) {
    throw Unknown(fmt::format("pipeline \"{}\" has no dead letter {}", pipeline, id.substr(0, 20)));
  }
  return jsonAnswer(200, R"({"removed":1})");
}

void addLetters(Api& api, const Engines& engines) {
  const std::string pattern = kPipeline + "/dead-letters";
  Operation list = operation("GET", pattern, "listDeadLetters", "Changes that the sink refused, oldest first",
                             [engines](const Call& call) { return listLetters(engines, call); });
  list.query = {
      {.name = "after", .description = "only letters with a greater id", .schema = R"({"type":"integer","minimum":0})"},
      {.name = "limit",
       .description = "how many, 50 unless told otherwise",
       .schema = R"({"type":"integer","minimum":1,"maximum":1000})"}};
  list.answers.push_back(plain("The letters, and how many there are in all", schemaReference("DeadLetters")));
  api.add(std::move(list));

  const std::string one = R"({"type":"integer","minimum":0})";
  Operation replay = operation(
      "POST", pattern + "/replay", "replayDeadLetters",
      "Applies them again, oldest first; those that succeed are removed", [engines](const Call& call) {
        const AdministeredEngine& engine = engineOf(engines, call);
        const std::string pipeline = pipelineOf(engine, call);
        const DeadLetters& letters = lettersOf(engine, pipeline);
        const std::uint64_t replayed = engine.engine->replayDeadLetters(pipeline);
        return jsonAnswer(200, fmt::format(R"({{"replayed":{},"left":{}}})", replayed, letters.count(pipeline)));
      });
  replay.answers.push_back(plain("How many succeeded, and how many are left",
                                 R"({"type":"object","properties":{"replayed":)" + one + R"(,"left":)" + one + "}}"));
  api.add(std::move(replay));

  const Answer removed = plain("How many are gone", R"({"type":"object","properties":{"removed":)" + one + "}}");
  Operation purge =
      operation("DELETE", pattern, "purgeDeadLetters", "Forgets all of them", [engines](const Call& call) {
        const AdministeredEngine& engine = engineOf(engines, call);
        const std::string pipeline = pipelineOf(engine, call);
        return jsonAnswer(200, fmt::format(R"({{"removed":{}}})", lettersOf(engine, pipeline).purge(pipeline)));
      });
  purge.answers.push_back(removed);
  api.add(std::move(purge));

  Operation erase = operation("DELETE", pattern + "/{id}", "removeDeadLetter", "Forgets one of them",
                              [engines](const Call& call) { return removeLetter(engines, call); });
  erase.answers.push_back(removed);
  api.add(std::move(erase));
}

void addSchemas(Api& api) {
  api.addSchema("NamedEngine",
                R"({"type":"object","properties":{"name":{"type":"string"},"status":{"type":"object","properties":{
"running":{"type":"boolean"},"paused":{"type":"boolean"},"ready":{"type":"boolean"},
"sources":{"type":"array","items":{"type":"object"}},"pipelines":{"type":"array","items":{"type":"object"}}},
"required":["running","paused","ready","sources","pipelines"]}},"required":["name","status"]})");
  api.addSchema("DeadLetters",
                R"({"type":"object","properties":{"count":{"type":"integer","minimum":0},"letters":{"type":"array",
"items":{"type":"object","properties":{"id":{"type":"integer"},"pipeline":{"type":"string"},"table":{"type":"string"},
"key":{"type":"string"},"position":{"type":"string"},"event":{},"error":{"type":"string"},
"failed_at":{"type":"string","format":"date-time"},"attempts":{"type":"integer"}}}}},"required":["count","letters"]})");
  addProblemSchema(api);
}

}  // namespace engine_api_detail

void addEngineApi(Api& api, std::vector<AdministeredEngine> engines) {
  using namespace engine_api_detail;
  check(engines);
  const auto shared = std::make_shared<const std::vector<AdministeredEngine>>(std::move(engines));
  addSchemas(api);
  addEngines(api, shared);
  addPipelines(api, shared);
  addLetters(api, shared);
}

}  // namespace tidegate::server
