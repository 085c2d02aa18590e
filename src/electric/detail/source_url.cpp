#include "electric/detail/source_url.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "tidegate/core/error.h"

namespace tidegate::electric::reading {
namespace {

[[noreturn]] void wrongOption(const std::string& what) {
  throw Error(ErrorCode::invalidConfig, Retry::never, "electric::SourceOptions::" + what);
}

bool isPlainName(std::string_view name) {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; };
  return !name.empty() && !(name[0] >= '0' && name[0] <= '9') && std::all_of(name.begin(), name.end(), plain);
}

bool isOurs(std::string_view parameter) {
  static constexpr std::string_view kOurs[] = {"table",  "where",  "columns",        "replica",
                                               "offset", "handle", "live",           "live_sse",
                                               "cursor", "log",    "expired_handle", "cache-buster"};
  return parameter.starts_with("params[") ||
         std::find(std::begin(kOurs), std::end(kOurs), parameter) != std::end(kOurs);
}

void checkShape(const SourceShape& shape, std::set<std::string>& names) {
  if (shape.table.empty()) wrongOption("shapes: each needs a table");
  const std::string& name = nameOf(shape);
  if (!names.insert(name).second) {
    wrongOption(fmt::format("shapes: two are called \"{}\"; give one another name", name));
  }
  const auto lacks = [&](const std::string& column) {
    return std::find(shape.columns.begin(), shape.columns.end(), column) == shape.columns.end();
  };
  if (!shape.columns.empty() && std::any_of(shape.key.begin(), shape.key.end(), lacks)) {
    wrongOption(fmt::format("shapes: \"{}\" has key columns that its columns lack", name));
  }
  if (!shape.params.empty() && shape.where.empty()) {
    wrongOption(fmt::format("shapes: \"{}\" has params, and no condition that uses them", name));
  }
}

}  // namespace

std::string quotedColumn(std::string_view name) {
  if (isPlainName(name)) return std::string(name);
  std::string quoted = "\"";
  for (const char c : name) quoted.append(c == '"' ? 2 : 1, c);
  return quoted + "\"";
}

void checkSourceOptions(const SourceOptions& options) {
  if (!options.url.starts_with("http://") && !options.url.starts_with("https://")) {
    wrongOption("url is no http or https URL");
  }
  if (options.url.find('#') != options.url.npos) wrongOption("url has a fragment");
  if (options.shapes.empty()) wrongOption("shapes is empty: there is nothing to read");
  std::set<std::string> names;
  for (const SourceShape& shape : options.shapes) checkShape(shape, names);
  for (const auto& [name, value] : options.parameters) {
    if (isOurs(name)) wrongOption("parameters has \"" + name + "\", which the source sets itself");
  }
  if (options.batchEvents == 0) wrongOption("batchEvents must be over 0");
  if (options.bufferBytes == 0) wrongOption("bufferBytes must be over 0");
  if (options.maxBodyBytes == 0) wrongOption("maxBodyBytes must be over 0");
  if (options.mergeWait.count() <= 0) wrongOption("mergeWait must be over 0");
  if (options.pageTimeout.count() <= 0) wrongOption("pageTimeout must be over 0");
  if (options.liveTimeout.count() <= 0) wrongOption("liveTimeout must be over 0");
  (void)Backoff(options.backoff, 1);
}

std::string urlOf(const SourceOptions& options, const SourceShape& shape, const ReadRequest& request) {
  std::map<std::string, std::string> parameters(options.parameters.begin(), options.parameters.end());
  parameters["table"] = shape.table;
  if (!shape.where.empty()) parameters["where"] = shape.where;
  for (std::size_t i = 0; i < shape.params.size(); ++i) {
    parameters[fmt::format("params[{}]", i + 1)] = shape.params[i];
  }
  std::string columns;
  for (const std::string& column : shape.columns) columns += (columns.empty() ? "" : ",") + quotedColumn(column);
  if (!columns.empty()) parameters["columns"] = columns;
  if (shape.replica == ReplicaMode::full) parameters["replica"] = "full";
  parameters["offset"] = toText(request.from);
  if (!request.handle.empty()) parameters["handle"] = request.handle;
  if (request.waits()) {
    parameters["live"] = "true";
    parameters["cursor"] = request.cursor;
  }
  if (request.kind == RequestKind::events) parameters["live_sse"] = "true";
  if (!request.expired.empty()) parameters["expired_handle"] = request.expired;
  if (request.cacheKey != 0) parameters["cache-buster"] = std::to_string(request.cacheKey);
  std::string url = options.url;
  char border = url.find('?') == url.npos ? '?' : '&';
  for (const auto& [name, value] : parameters) {
    url += border + http::percentEncode(name) + "=" + http::percentEncode(value);
    border = '&';
  }
  return url;
}

}  // namespace tidegate::electric::reading
