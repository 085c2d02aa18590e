#include "page.h"

#include <fstream>
#include <sstream>

#include "settings.h"
#include "tidegate/core/error.h"
#include "tidegate/core/json.h"

using namespace tidegate;

namespace {

std::string fileText(const std::string& name) {
  std::ifstream file(std::string(SYNC_LAYER_PAGE) + "/" + name);
  std::stringstream text;
  text << file.rdbuf();
  if (!file) throw Error(ErrorCode::invalidConfig, Retry::never, "the page's file " + name + " cannot be read");
  return text.str();
}

http::Handler fixed(std::string type, std::string body) {
  return [type = std::move(type), body = std::move(body)](http::Request&&, http::Responder answer) {
    answer.send(
        {.status = 200,
         .headers = {{"content-type", type}, {"cache-control", "no-cache"}, {"x-content-type-options", "nosniff"}},
         .body = body});
  };
}

}  // namespace

void addPage(http::Router& router, const std::string& streamUrl) {
  std::string config = "{\"items\":";
  appendJsonString(streamUrl + "/" + kItemsStream, config);
  config += ",\"events\":";
  appendJsonString(streamUrl + "/" + kEventsStream, config);
  config += "}";
  router.add("GET", "/", fixed("text/html; charset=utf-8", fileText("index.html")));
  router.add("GET", "/app.js", fixed("text/javascript; charset=utf-8", fileText("app.js")));
  router.add("GET", "/style.css", fixed("text/css; charset=utf-8", fileText("style.css")));
  router.add("GET", "/config.json", fixed("application/json", config));
}
