#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <set>

#include "jobs/jobs_rig.h"
#include "server/admin_rig.h"
#include "tidegate/server/change_feed.h"
#include "tidegate/server/engine_api.h"
#include "tidegate/server/jobs_api.h"
#include "tidegate/server/status_page.h"

namespace tidegate::server::test {
namespace {

using nlohmann::json;

struct WholeAdminApi : ::testing::Test, AdminRig {
  WholeAdminApi() {
    addStatusPage(api);
    addOpenApiDocument(api);
    addJobsApi(api, *rig.jobs);
    addEngineApi(api, {});
    addChangeFeed(api, std::make_shared<ChangeFeed>());
    serve();
  }
  tidegate::test::JobsRig rig;
};

std::string lowered(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

/// Every schema below `node`: its types are JSON Schema's, and its references lead somewhere.
void checkSchema(const json& node, const json& document, const std::string& at) {
  static const std::set<std::string> kTypes{"null", "boolean", "object", "array", "number", "integer", "string"};
  ASSERT_TRUE(node.is_object() || node.is_boolean()) << at;
  if (!node.is_object()) return;
  if (node.contains("$ref")) {
    const std::string target = node["$ref"];
    ASSERT_TRUE(target.starts_with("#/")) << at;
    EXPECT_TRUE(document.contains(json::json_pointer(target.substr(1)))) << at << ": " << target;
  }
  if (node.contains("type")) {
    for (const json& type : node["type"].is_array() ? node["type"] : json::array({node["type"]})) {
      EXPECT_TRUE(kTypes.contains(type.get<std::string>())) << at << ": " << type;
    }
  }
  if (node.contains("required")) {
    for (const json& name : node["required"]) EXPECT_TRUE(node["properties"].contains(name.get<std::string>())) << at;
  }
  if (node.contains("properties")) {
    for (const auto& [name, each] : node["properties"].items()) checkSchema(each, document, at + "/" + name);
  }
  if (node.contains("items")) checkSchema(node["items"], document, at + "/items");
  for (const char* list : {"anyOf", "oneOf", "allOf"}) {
    if (!node.contains(list)) continue;
    for (const json& each : node[list]) checkSchema(each, document, at + "/" + list);
  }
}

void checkContent(const json& holder, const json& document, const std::string& at) {
  if (!holder.contains("content")) return;
  for (const auto& [type, media] : holder["content"].items()) {
    EXPECT_NE(type.find('/'), std::string::npos) << at;
    if (media.contains("schema")) checkSchema(media["schema"], document, at + " " + type);
  }
}

/// What OpenAPI 3.1 demands of an operation.
void checkOperation(const json& operation, const std::string& path, const json& document, std::set<std::string>& ids) {
  const std::string at = path + " " + operation.value("operationId", "?");
  EXPECT_TRUE(ids.insert(operation.value("operationId", "")).second) << at << ": the id comes twice";
  std::set<std::string> named;
  for (const json& parameter : operation.value("parameters", json::array())) {
    EXPECT_TRUE(parameter["in"] == "path" || parameter["in"] == "query") << at;
    EXPECT_TRUE(named.insert(parameter["in"].get<std::string>() + parameter["name"].get<std::string>()).second) << at;
    if (parameter["in"] == "path") {
      EXPECT_EQ(parameter["required"], true) << at;
      EXPECT_NE(path.find("{" + parameter["name"].get<std::string>() + "}"), std::string::npos) << at;
    }
    checkSchema(parameter["schema"], document, at);
  }
  const auto placeholders = std::count(path.begin(), path.end(), '{');
  EXPECT_EQ(std::count_if(named.begin(), named.end(), [](const auto& n) { return n.starts_with("path"); }),
            placeholders)
      << at;
  ASSERT_FALSE(operation["responses"].empty()) << at;
  for (const auto& [status, answer] : operation["responses"].items()) {
    EXPECT_TRUE(status == "default" || (status.size() == 3 && status[0] >= '1' && status[0] <= '5')) << at;
    EXPECT_TRUE(answer["description"].is_string()) << at;
    checkContent(answer, document, at);
  }
  if (operation.contains("requestBody")) checkContent(operation["requestBody"], document, at);
  for (const json& need : operation["security"]) {
    for (const auto& [scheme, scopes] : need.items()) {
      EXPECT_TRUE(document["components"]["securitySchemes"].contains(scheme)) << at;
      EXPECT_TRUE(scopes.is_array());
    }
  }
}

TEST_F(WholeAdminApi, ServesADocumentThatIsOpenApiAndNamesEveryRoute) {
  const Told told = ask("GET", "/openapi.json", "", "");
  ASSERT_EQ(told.status, 200);
  const json& document = told.body;
  EXPECT_EQ(document["openapi"], "3.1.0");
  EXPECT_TRUE(document["info"]["title"].is_string());
  EXPECT_TRUE(document["info"]["version"].is_string());
  std::set<std::string> ids;
  std::size_t operations = 0;
  for (const auto& [path, item] : document["paths"].items()) {
    EXPECT_EQ(path[0], '/');
    for (const auto& [method, operation] : item.items()) {
      ++operations;
      checkOperation(operation, path, document, ids);
    }
  }
  for (const auto& [name, schema] : document["components"]["schemas"].items()) checkSchema(schema, document, name);
  EXPECT_EQ(operations, api.operations().size());
  for (const Operation& route : api.operations()) {
    EXPECT_TRUE(document["paths"][route.pattern].contains(lowered(route.method))) << route.method << route.pattern;
  }
}

TEST_F(WholeAdminApi, ThePageHoldsNothingAndEveryDatumNeedsAnAdmin) {
  for (const char* path : {"/", "/status.js", "/status.css"}) {
    const Told told = ask("GET", path, "", "");
    EXPECT_EQ(told.status, 200) << path;
    const std::string policy(told.headers.get("content-security-policy"));
    EXPECT_NE(policy.find("default-src 'none'"), std::string::npos);
    EXPECT_EQ(policy.find("unsafe"), std::string::npos);
    EXPECT_EQ(told.headers.get("x-content-type-options"), "nosniff");
    for (const char* elsewhere : {"src=\"http", "href=\"http", "innerHTML", "insertAdjacentHTML", "localStorage"}) {
      EXPECT_EQ(told.text.find(elsewhere), std::string::npos) << path << " holds " << elsewhere;
    }
  }
  for (const Operation& route : api.operations()) {
    EXPECT_EQ(route.role, route.tag == "page" ? Role::anyone : Role::admin) << route.pattern;
  }
}

}  // namespace
}  // namespace tidegate::server::test
