#include "server/detail/jobs_schemas.h"

#include <nlohmann/json.hpp>

namespace tidegate::server::detail {
namespace jobs_schemas_detail {

using Json = nlohmann::ordered_json;

Json oneOf(std::initializer_list<const char*> words) {
  Json list = Json::array();
  for (const char* word : words) list.push_back(word);
  return {{"type", "string"}, {"enum", std::move(list)}};
}

Json text(const char* description = nullptr) {
  Json out{{"type", "string"}};
  if (description != nullptr) out["description"] = description;
  return out;
}

Json whole(std::int64_t low, std::optional<std::int64_t> high = {}) {
  Json out{{"type", "integer"}, {"minimum", low}};
  if (high) out["maximum"] = *high;
  return out;
}

Json number(double low, double high) { return {{"type", "number"}, {"minimum", low}, {"maximum", high}}; }
Json flag() { return {{"type", "boolean"}}; }
Json textOrNull() { return {{"type", Json::array({"string", "null"})}}; }
Json timeOrNull() { return {{"type", Json::array({"string", "null"})}, {"format", "date-time"}}; }
Json time() { return {{"type", "string"}, {"format", "date-time"}}; }
Json listOf(Json items) { return {{"type", "array"}, {"items", std::move(items)}}; }
Json reference(const char* name) { return {{"$ref", std::string("#/components/schemas/") + name}}; }

Json sourceSchema() {
  const Json tls = {{"type", Json::array({"string", "null"})},
                    {"enum", Json::array({"off", "verify_full", "verify_ca", "require_unverified", nullptr})}};
  return {{"type", "object"},
          {"properties",
           {{"dialect", oneOf({"postgresql", "mysql", "sqlite"})},
            {"dsn", text("postgresql://… or mysql://…; shown with its secrets as ***")},
            {"host", text()},
            {"port", whole(0, 65'535)},
            {"user", text()},
            {"password", text("kept encrypted, shown as ***; *** given back leaves it as it is")},
            {"database", text("SQLite: the file's path")},
            {"tls", tls},
            {"ca_file", text()},
            {"cert_file", text()},
            {"key_file", text()}}},
          {"additionalProperties", false}};
}

Json jobProperties() {
  return {{"name", {{"type", "string"}, {"pattern", "^[A-Za-z0-9_-]{1,64}$"}}},
          {"source", sourceSchema()},
          {"table_name", text("may have a schema: public.users")},
          {"tracking_col", text("the column that grows with each change")},
          {"tracking_type", oneOf({"timestamp", "id"})},
          {"cron_tab", text("5 fields, or 6 with seconds first, or @hourly and its like")},
          {"time_zone", text()},
          {"target_table", text("in the replica; empty: table_name without its schema")},
          {"columns", listOf(text())},
          {"primary_key", listOf(text())},
          {"batch_size", whole(1, 10'000)},
          {"page_cap", whole(1, 1'000'000)},
          {"mode", oneOf({"incremental", "diff", "cdc"})},
          {"lookback", {{"type", "number"}, {"minimum", 0}, {"description", "seconds"}}},
          {"lookback_rows", whole(1, 1'000'000)},
          {"commit_horizon", flag()},
          {"delete_check", {{"type", "integer"}, {"minimum", 0}, {"description", "seconds; 0: never"}}},
          {"max_delete_fraction", number(0, 1)},
          {"catch_up", oneOf({"run", "skip"})}};
}

Json runSchema() {
  return {{"type", "object"},
          {"properties",
           {{"id", whole(1)},
            {"trigger", oneOf({"schedule", "catch_up", "manual", "retry", "go_on", "stream"})},
            {"outcome", oneOf({"running", "ok", "failed", "cancelled", "interrupted"})},
            {"tick", timeOrNull()},
            {"started_at", time()},
            {"duration_ms", {{"type", "number"}, {"minimum", 0}}},
            {"pages", whole(0)},
            {"rows_read", whole(0)},
            {"rows_synced", whole(0)},
            {"rows_deleted", whole(0)},
            {"more", flag()},
            {"error", textOrNull()},
            {"warnings", listOf(text())}}},
          {"required", Json::array({"id", "trigger", "outcome", "started_at", "duration_ms", "rows_synced", "error"})}};
}

Json statusSchema() {
  Json properties = jobProperties();
  properties["state"] = oneOf({"idle", "running", "streaming", "backing_off", "paused"});
  properties["created_at"] = time();
  properties["cursor"] = textOrNull();
  for (const char* counter : {"rows_synced", "rows_deleted", "runs", "failures"}) properties[counter] = whole(0);
  for (const char* moment : {"last_run_at", "last_success_at", "next_run_at", "previous_tick", "next_tick"}) {
    properties[moment] = timeOrNull();
  }
  properties["last_error"] = textOrNull();
  properties["current"] = {{"anyOf", Json::array({reference("JobRun"), {{"type", "null"}}})}};
  return {{"type", "object"},
          {"properties", std::move(properties)},
          {"required", Json::array({"name", "source", "table_name", "state", "rows_synced", "last_error"})}};
}

Json outcomeSchema() {
  return {{"type", "object"},
          {"properties",
           {{"created", flag()},
            {"cursor_reset", {{"type", "boolean"}, {"description", "what it had read is read again"}}},
            {"reset_reason", text("why; empty where the cursor stays")},
            {"warnings", listOf(text())},
            {"job", {{"anyOf", Json::array({reference("JobStatus"), {{"type", "null"}}})}}}}},
          {"required", Json::array({"created", "cursor_reset", "reset_reason", "warnings"})}};
}

}  // namespace jobs_schemas_detail

void addProblemSchema(Api& api) {
  using namespace jobs_schemas_detail;
  const Json schema = {{"type", "object"},
                       {"properties",
                        {{"type", text()},
                         {"title", text()},
                         {"status", whole(400, 599)},
                         {"detail", text("names the field or thing, and the remedy; never a secret")},
                         {"code", text("what failed, for programs: invalidConfig, backPressure, …")},
                         {"retry", oneOf({"never", "later", "afterOperator", "outcomeUnknown"})}}},
                       {"required", Json::array({"title", "status"})}};
  api.addSchema("AdminProblem", schema.dump());
}

void addJobsSchemas(Api& api) {
  using namespace jobs_schemas_detail;
  Json job{{"type", "object"}, {"properties", jobProperties()}, {"additionalProperties", false}};
  api.addSchema("JobPatch", job.dump());
  job["required"] = Json::array({"name", "source", "table_name"});
  api.addSchema("Job", job.dump());
  api.addSchema("JobRun", runSchema().dump());
  api.addSchema("JobStatus", statusSchema().dump());
  api.addSchema("JobOutcome", outcomeSchema().dump());
  addProblemSchema(api);
}

}  // namespace tidegate::server::detail
