#include <algorithm>
#include <utility>

#include "http/detail/target.h"
#include "tidegate/core/error.h"
#include "tidegate/http/server.h"

namespace tidegate::http {
namespace {

struct Segment {
  std::string text{};  ///< literal, or the parameter's name
  bool parameter = false;
  bool rest = false;
};

struct Route {
  std::string method;
  std::vector<Segment> segments;
  std::string shape;  ///< the pattern without its names: two of the same shape are the same route
  Router::RouteHandler handler;
};

struct Mount {
  std::string prefix;
  Handler handler;
};

Error malformedPattern(std::string_view pattern, std::string_view why) {
  return Error(ErrorCode::invalidArgument, Retry::never, "route \"" + std::string(pattern) + "\": " + std::string(why));
}

std::vector<Segment> parsePattern(std::string_view pattern) {
  if (!pattern.starts_with('/')) throw malformedPattern(pattern, "a pattern begins with '/'");
  std::vector<Segment> segments;
  for (const std::string_view part : detail::splitPath(pattern)) {
    if (!segments.empty() && segments.back().rest) throw malformedPattern(pattern, "{rest...} stands last");
    Segment segment;
    if (part.starts_with('{') && part.ends_with('}')) {
      std::string_view name = part.substr(1, part.size() - 2);
      segment.parameter = true;
      if (name.ends_with("...")) {
        segment.rest = true;
        name.remove_suffix(3);
      }
      if (name.empty() || name.find_first_of("{}.") != std::string_view::npos) {
        throw malformedPattern(pattern, "a parameter is {name} or {name...}");
      }
      segment.text = name;
    } else {
      if (part.find_first_of("{}") != std::string_view::npos) {
        throw malformedPattern(pattern, "a parameter is a whole segment");
      }
      segment.text = part;
    }
    segments.push_back(std::move(segment));
  }
  return segments;
}

std::string shapeOf(const std::vector<Segment>& segments) {
  std::string shape;
  for (const Segment& segment : segments) {
    shape += '/';
    if (!segment.parameter) {
      shape += segment.text;
    } else {
      shape += segment.rest ? "{...}" : "{}";
    }
  }
  return shape;
}

/// A path's segments, split before they are decoded: an encoded slash belongs to its segment. Views of the request
/// where nothing is encoded.
class PathSegments {
 public:
  explicit PathSegments(const Request& request) {
    const std::string_view raw = detail::rawPath(request.target);
    segments_ = detail::splitPath(raw.empty() ? std::string_view(request.path) : raw);
    if (raw.find('%') == std::string_view::npos) return;
    decoded_.reserve(segments_.size());
    for (std::string_view& segment : segments_) {
      auto decoded = percentDecode(segment);
      segment = decoded_.emplace_back(decoded ? *std::move(decoded) : std::string(segment));
    }
  }
  PathSegments(const PathSegments&) = delete;
  PathSegments& operator=(const PathSegments&) = delete;
  std::size_t size() const noexcept { return segments_.size(); }
  std::string_view operator[](std::size_t at) const noexcept { return segments_[at]; }

 private:
  std::vector<std::string_view> segments_{};
  std::vector<std::string> decoded_{};
};

bool matches(const std::vector<Segment>& pattern, const PathSegments& path) {
  const bool rest = !pattern.empty() && pattern.back().rest;
  if (rest ? path.size() < pattern.size() : path.size() != pattern.size()) return false;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (!pattern[i].parameter && pattern[i].text != path[i]) return false;
    if (pattern[i].parameter && !pattern[i].rest && path[i].empty()) return false;
  }
  return true;
}

/// Whether `a` is to be tried before `b`: literals before parameters, parameters before the rest.
bool moreExact(const Route& a, const Route& b) {
  const auto rank = [](const Segment& segment) { return segment.rest ? 2 : segment.parameter ? 1 : 0; };
  for (std::size_t i = 0; i < std::min(a.segments.size(), b.segments.size()); ++i) {
    if (rank(a.segments[i]) != rank(b.segments[i])) return rank(a.segments[i]) < rank(b.segments[i]);
  }
  return a.segments.size() > b.segments.size();
}

Router::Parameters parametersOf(const Route& route, const PathSegments& path) {
  Router::Parameters out;
  for (std::size_t i = 0; i < route.segments.size(); ++i) {
    const Segment& segment = route.segments[i];
    if (!segment.parameter) continue;
    std::string value(path[i]);
    for (std::size_t more = i + 1; segment.rest && more < path.size(); ++more) (value += '/') += path[more];
    out.emplace_back(segment.text, std::move(value));
  }
  return out;
}

}  // namespace

struct Router::Table {
  std::vector<Route> routes{};  ///< the most exact first
  std::vector<Mount> mounts{};  ///< the longest first
  std::vector<std::pair<std::string, std::string>> names{};

  void handle(Request&& request, Responder answer) const;
};

void Router::Table::handle(Request&& request, Responder answer) const {
  const PathSegments path(request);
  std::string allowed;
  const Route* head = nullptr;
  for (const Route& route : routes) {
    if (!matches(route.segments, path)) continue;
    if (route.method == request.method) {
      route.handler(std::move(request), parametersOf(route, path), std::move(answer));
      return;
    }
    if (route.method == "GET" && request.method == "HEAD" && !head) head = &route;
    if (allowed.find(route.method) == std::string::npos)
      allowed.append(allowed.empty() ? "" : ", ").append(route.method);
  }
  if (head) {
    head->handler(std::move(request), parametersOf(*head, path), std::move(answer));
    return;
  }
  for (const Mount& mount : mounts) {
    if (!request.path.starts_with(mount.prefix)) continue;
    mount.handler(std::move(request), std::move(answer));
    return;
  }
  Response response = allowed.empty() ? problem(404, "there is nothing at this path")
                                      : problem(405, request.method + " is not allowed here; allowed: " + allowed);
  if (!allowed.empty()) response.headers.add("allow", allowed);
  answer.send(std::move(response));
}

void Router::add(std::string_view method, std::string_view pattern, RouteHandler handler) {
  if (!table_) table_ = std::make_shared<Table>();
  Route route{std::string(method), parsePattern(pattern), {}, std::move(handler)};
  route.shape = shapeOf(route.segments);
  for (const Route& other : table_->routes) {
    if (other.method == route.method && other.shape == route.shape) {
      throw malformedPattern(pattern, "is there already for " + route.method);
    }
  }
  table_->names.emplace_back(route.method, pattern);
  const auto at = std::find_if(table_->routes.begin(), table_->routes.end(),
                               [&](const Route& other) { return moreExact(route, other); });
  table_->routes.insert(at, std::move(route));
}

void Router::add(std::string_view method, std::string_view pattern, Handler handler) {
  add(method, pattern,
      RouteHandler([handler = std::move(handler)](Request&& request, const Parameters&, Responder answer) {
        handler(std::move(request), std::move(answer));
      }));
}

void Router::mount(std::string_view prefix, Handler handler) {
  if (!prefix.starts_with('/')) throw malformedPattern(prefix, "a prefix begins with '/'");
  if (!table_) table_ = std::make_shared<Table>();
  const auto at = std::find_if(table_->mounts.begin(), table_->mounts.end(),
                               [&](const Mount& other) { return other.prefix.size() <= prefix.size(); });
  if (std::any_of(table_->mounts.begin(), table_->mounts.end(), [&](const Mount& m) { return m.prefix == prefix; })) {
    throw malformedPattern(prefix, "is mounted already");
  }
  table_->mounts.insert(at, Mount{std::string(prefix), std::move(handler)});
}

const std::vector<std::pair<std::string, std::string>>& Router::routes() const noexcept {
  static const std::vector<std::pair<std::string, std::string>> kNone;
  return table_ ? table_->names : kNone;
}

Handler Router::handler() const {
  const auto table = table_ ? std::make_shared<const Table>(*table_) : std::make_shared<const Table>();
  return [table](Request&& request, Responder answer) { table->handle(std::move(request), std::move(answer)); };
}

}  // namespace tidegate::http
