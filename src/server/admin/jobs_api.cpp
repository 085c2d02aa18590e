#include "tidegate/server/jobs_api.h"

#include <fmt/format.h>

#include <limits>
#include <memory>
#include <utility>

#include "server/detail/blocking_pool.h"
#include "server/detail/jobs_schemas.h"
#include "server/detail/json_answers.h"

namespace tidegate::server {
namespace jobs_api_detail {

using namespace detail;

constexpr std::uint64_t kMostRunsShown = 1'000, kRunsShown = 50;

bool isThere(ReplicationJobs& jobs, std::string_view name) {
  try {
    (void)jobs.get(name);
    return true;
  } catch (const Error& e) {
    return e.code() != ErrorCode::invalidArgument;
  }
}

/// What the source's database said is the job's fault or its database's. Never 401, 403 or 404: those are about this
/// api's own callers and jobs.
int statusOf(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalidArgument:
    case ErrorCode::invalidConfig:
    case ErrorCode::parseError:
      return 400;
    case ErrorCode::backPressure:
      return 409;
    case ErrorCode::storeUnavailable:
    case ErrorCode::stopped:
      return 503;
    case ErrorCode::storeCorrupt:
    case ErrorCode::internal:
      return 500;
    default:
      return 422;
  }
}

/// Runs `work` for a job that has to be there.
template <class Work>
http::Response onJob(ReplicationJobs& jobs, std::string_view name, const Work& work) {
  try {
    return work();
  } catch (const BadParameter& e) {
    return problemOf(400, e);
  } catch (const Error& e) {
    if (e.code() != ErrorCode::invalidArgument) return problemOf(statusOf(e.code()), e);
    return problemOf(isThere(jobs, name) ? 409 : 404, e);
  }
}

std::string withJob(const JobCreated& outcome, const std::string& job) {
  std::string body = toJson(outcome);
  body.insert(body.rfind('}'), ",\"job\":" + job);
  return body;
}

http::Response put(ReplicationJobs& jobs, const ReplicationJob& job) {
  const JobCreated outcome = jobs.create(job);
  http::Response answer = jsonAnswer(outcome.created ? 201 : 200, withJob(outcome, toJson(jobs.get(job.name))));
  if (outcome.created) answer.headers.add("location", "/replication/jobs/" + job.name);
  return answer;
}

http::Response create(ReplicationJobs& jobs, const Call& call) {
  try {
    return put(jobs, jobFromJson(call.request.body));
  } catch (const Error& e) {
    return problemOf(statusOf(e.code()), e);
  }
}

http::Response check(ReplicationJobs& jobs, const Call& call) {
  try {
    return jsonAnswer(200, withJob(jobs.check(jobFromJson(call.request.body)), "null"));
  } catch (const Error& e) {
    return problemOf(statusOf(e.code()), e);
  }
}

http::Response patch(ReplicationJobs& jobs, const Call& call) {
  const std::string name(call.path("name"));
  return onJob(jobs, name, [&] {
    const ReplicationJob changed = patchedJob(jobs.get(name).job, call.request.body);
    if (changed.name != name) {
      throw Error(ErrorCode::invalidConfig, Retry::never,
                  fmt::format("job \"{}\": name cannot be changed: make another job and remove this one", name));
    }
    return put(jobs, changed);
  });
}

http::Response remove(ReplicationJobs& jobs, const Call& call) {
  return onJob(jobs, call.path("name"), [&] {
    const bool whole = jobs.remove(call.path("name"));
    return jsonAnswer(200, fmt::format(R"({{"removed":true,"source_cleaned":{}}})", whole));
  });
}

http::Response history(ReplicationJobs& jobs, const Call& call) {
  return onJob(jobs, call.path("name"), [&] {
    const std::uint64_t limit = numberParameter(call, "limit", kRunsShown, 1, kMostRunsShown);
    const std::uint64_t before = numberParameter(call, "before", 0, 0, std::numeric_limits<std::uint64_t>::max());
    return jsonAnswer(200, "{\"runs\":" + toJson(jobs.history(call.path("name"), limit, before)) + "}");
  });
}

/// `act` on a job, answered with how the job is then.
template <class Act>
http::Response changed(ReplicationJobs& jobs, const Call& call, int status, const Act& act) {
  return onJob(jobs, call.path("name"), [&] {
    act(call.path("name"));
    return jsonAnswer(status, toJson(jobs.get(call.path("name"))));
  });
}

http::Response runNow(ReplicationJobs& jobs, const Call& call) {
  return onJob(jobs, call.path("name"), [&] { return jsonAnswer(200, toJson(jobs.run(call.path("name")))); });
}

/// A run is waited for on threads of its own: one may take hours, and nobody else should wait for it.
auto runHandler(ReplicationJobs& jobs, const JobsApiOptions& options) {
  auto waiters = std::make_shared<BlockingPool>(options.waitingRuns, options.queuedRuns);
  auto askers = std::make_shared<BlockingPool>(1, options.queuedRuns);
  return [&jobs, waiters, askers](Call&& call, http::Responder answer) {
    struct Waiting {
      Call call;
      http::Responder answer;
    };
    auto waiting = std::make_shared<Waiting>(Waiting{std::move(call), std::move(answer)});
    const auto guarded = [waiting](const auto& work) {
      try {
        waiting->answer.send(work());
      } catch (...) {
        waiting->answer.send(http::problemFor(std::current_exception()));
      }
    };
    try {
      const bool wait = flagParameter(waiting->call, "wait", true);
      (wait ? *waiters : *askers).run([&jobs, waiting, guarded, wait] {
        guarded([&] {
          if (wait) return runNow(jobs, waiting->call);
          return changed(jobs, waiting->call, 202, [&](std::string_view name) { jobs.request(name); });
        });
      });
    } catch (...) {
      waiting->answer.send(http::problemFor(std::current_exception()));
    }
  };
}

Answer body(int status, std::string description, const char* schema) {
  return {.status = status,
          .description = std::move(description),
          .mediaType = "application/json",
          .schema = schemaReference(schema)};
}

Answer inlineBody(std::string description, std::string schema) {
  return {.description = std::move(description), .mediaType = "application/json", .schema = std::move(schema)};
}

const std::string kPattern = "/replication/jobs/{name}";

Operation onOne(std::string method, std::string_view suffix, std::string name, std::string summary) {
  Operation operation;
  operation.method = std::move(method);
  operation.pattern = kPattern + std::string(suffix);
  operation.name = std::move(name);
  operation.summary = std::move(summary);
  operation.tag = "jobs";
  operation.answers = {mistake(404, "There is no such job")};
  return operation;
}

void addCollection(Api& api, ReplicationJobs& jobs) {
  Operation list;
  list.method = "GET";
  list.pattern = "/replication/jobs";
  list.name = "listJobs";
  list.summary = "All jobs and how they are";
  list.tag = "jobs";
  list.answers = {inlineBody("By name", R"({"type":"object","properties":{"jobs":{"type":"array","items":)" +
                                            schemaReference("JobStatus") + R"(}},"required":["jobs"]})")};
  list.blocking = [&jobs](Call&&) { return jsonAnswer(200, "{\"jobs\":" + toJson(jobs.list()) + "}"); };

  Operation make = list;
  make.method = "POST";
  make.name = "createJob";
  make.summary = "Makes a job, or changes the one of that name, after all checks that can be made";
  make.body = schemaReference("Job");
  make.answers = {body(201, "It was made", "JobOutcome"), body(200, "It was there and was changed", "JobOutcome"),
                  mistake(400, "A field is wrong; detail names it. Nothing was changed"),
                  mistake(422, "The source's database refused; nothing was changed")};
  make.blocking = [&jobs](Call&& call) { return create(jobs, call); };

  Operation dry = make;
  dry.pattern = "/replication/check";
  dry.name = "checkJob";
  dry.summary = "What createJob would do or refuse; changes nothing";
  dry.answers[0] = body(200, "It would work", "JobOutcome");
  dry.answers.erase(dry.answers.begin() + 1);
  dry.blocking = [&jobs](Call&& call) { return check(jobs, call); };

  api.add(std::move(list));
  api.add(std::move(make));
  api.add(std::move(dry));
}

void addItem(Api& api, ReplicationJobs& jobs) {
  Operation get = onOne("GET", "", "getJob", "A job and how it is");
  get.answers.push_back(body(200, "The job; secrets are ***", "JobStatus"));
  get.blocking = [&jobs](Call&& call) { return changed(jobs, call, 200, [](std::string_view) {}); };
  api.add(std::move(get));

  Operation change = onOne("PATCH", "", "patchJob", "Changes the fields that are given, and no other");
  change.body = schemaReference("JobPatch");
  change.answers.insert(change.answers.end(), {body(200, "It was changed", "JobOutcome"),
                                               mistake(400, "A field is wrong; nothing was changed"),
                                               mistake(422, "The source's database refused; nothing was changed")});
  change.blocking = [&jobs](Call&& call) { return patch(jobs, call); };
  api.add(std::move(change));

  Operation erase = onOne("DELETE", "", "removeJob", "Ends its run and forgets it and its history; its table stays");
  erase.answers.push_back(inlineBody(
      "It is gone; source_cleaned is false where something of a change stream is left in the source's database",
      R"({"type":"object","properties":{"removed":{"type":"boolean"},"source_cleaned":{"type":"boolean"}}})"));
  erase.blocking = [&jobs](Call&& call) { return remove(jobs, call); };
  api.add(std::move(erase));

  Operation runs = onOne("GET", "/history", "jobHistory", "Its runs, newest first");
  runs.query = {
      {.name = "limit",
       .description = "how many, 50 unless told otherwise",
       .schema = R"({"type":"integer","minimum":1,"maximum":1000})"},
      {.name = "before", .description = "only runs with a smaller id", .schema = R"({"type":"integer","minimum":0})"}};
  runs.answers.push_back(inlineBody("The runs", R"({"type":"object","properties":{"runs":{"type":"array","items":)" +
                                                    schemaReference("JobRun") + R"(}},"required":["runs"]})"));
  runs.blocking = [&jobs](Call&& call) { return history(jobs, call); };
  api.add(std::move(runs));
}

void addActs(Api& api, ReplicationJobs& jobs, const JobsApiOptions& options) {
  Operation run = onOne("POST", "/run", "runJob", "Runs it now, and answers when the run has ended");
  run.query = {{.name = "wait",
                .description = "false: only ask for a run, in the background",
                .schema = R"({"type":"boolean","default":true})"}};
  run.answers.insert(run.answers.end(), {body(200, "The run has ended; its outcome says how", "JobRun"),
                                         body(202, "A run was asked for", "JobStatus"),
                                         mistake(409, "It is running already, or follows a change stream")});
  run.handler = runHandler(jobs, options);
  api.add(std::move(run));

  const auto act = [&](const char* verb, std::string name, std::string summary,
                       void (*work)(ReplicationJobs&, std::string_view)) {
    Operation operation = onOne("POST", verb, std::move(name), std::move(summary));
    operation.answers.push_back(body(200, "How the job is now", "JobStatus"));
    operation.blocking = [&jobs, work](Call&& call) {
      return changed(jobs, call, 200, [&](std::string_view job) { work(jobs, job); });
    };
    api.add(std::move(operation));
  };
  act("/reset", "resetJob", "The next run reads everything again; rows of the replica stay",
      [](ReplicationJobs& all, std::string_view job) { all.reset(job); });
  act("/pause", "pauseJob", "No more scheduled runs; one in hand goes on",
      [](ReplicationJobs& all, std::string_view job) { all.pause(job); });
  act("/resume", "resumeJob", "Ends a pause, or a back-off",
      [](ReplicationJobs& all, std::string_view job) { all.resume(job); });
  act("/cancel", "cancelJob", "Ends its run; the page in hand is undone",
      [](ReplicationJobs& all, std::string_view job) { all.cancel(job); });
}

}  // namespace jobs_api_detail

void addJobsApi(Api& api, ReplicationJobs& jobs, const JobsApiOptions& options) {
  if (options.waitingRuns < 1 || options.waitingRuns > 64) {
    throw Error(ErrorCode::invalidConfig, Retry::never, "JobsApiOptions: waitingRuns must be 1 to 64");
  }
  detail::addJobsSchemas(api);
  jobs_api_detail::addCollection(api, jobs);
  jobs_api_detail::addItem(api, jobs);
  jobs_api_detail::addActs(api, jobs, options);
}

}  // namespace tidegate::server
