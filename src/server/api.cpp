#include "tidegate/server/api.h"

#include <algorithm>
#include <exception>
#include <optional>
#include <utility>

#include "server/detail/api_impl.h"
#include "tidegate/core/error.h"

namespace tidegate::server {
namespace {

Error unusable(const Operation& operation, std::string_view why) {
  return Error(ErrorCode::invalidArgument, Retry::never,
               operation.method + " " + operation.pattern + ": " + std::string(why));
}

http::Response unknownCaller(std::string_view why) {
  http::Response response = http::problem(401, why);
  response.headers.add("www-authenticate", "Bearer");
  return response;
}

/// Who calls; nullopt where `answer` was told that it may not.
std::optional<Identity> judged(const http::Request& request, const Authenticator* authenticator, Role needed,
                               http::Responder& answer) {
  if (!authenticator) return Identity{.role = Role::admin};
  Identity who;
  try {
    who = authenticator->identify(request);
  } catch (const Error& e) {
    if (e.code() != ErrorCode::authenticationFailed) throw;
    answer.send(unknownCaller(e.message()));
    return std::nullopt;
  }
  if (who.role >= needed) return who;
  answer.send(who.role == Role::anyone ? unknownCaller("this needs a token: Authorization: Bearer …")
                                       : http::problem(403, "this is for admins alone"));
  return std::nullopt;
}

http::Response tooMany(std::chrono::milliseconds pause) {
  http::Response response = http::problem(429, "too many requests; ask again after what Retry-After says");
  const auto seconds = std::max(std::chrono::ceil<std::chrono::seconds>(pause), std::chrono::seconds(1));
  response.headers.add("retry-after", std::to_string(seconds.count()));
  return response;
}

void runBlocking(detail::BlockingPool& pool, const Operation& operation, Call&& call, http::Responder&& answer) {
  struct Waiting {
    Call call;
    http::Responder answer;
  };
  auto waiting = std::make_shared<Waiting>(Waiting{std::move(call), std::move(answer)});
  try {
    pool.run([&operation, waiting] {
      try {
        waiting->answer.send(operation.blocking(std::move(waiting->call)));
      } catch (...) {
        waiting->answer.send(http::problemFor(std::current_exception()));
      }
    });
  } catch (...) {
    waiting->answer.send(http::problemFor(std::current_exception()));
  }
}

}  // namespace

std::string_view Call::path(std::string_view name) const noexcept {
  for (const auto& [key, value] : parameters) {
    if (key == name) return value;
  }
  return {};
}

Api::Api(ApiOptions options) : impl_(std::make_shared<Impl>(std::move(options))) {}
Api::~Api() = default;

void Api::add(Operation operation) {
  if (operation.name.empty() || operation.summary.empty()) throw unusable(operation, "it needs a name and a summary");
  if (static_cast<bool>(operation.handler) == static_cast<bool>(operation.blocking)) {
    throw unusable(operation, "it needs either a handler or a blocking one");
  }
  if (operation.method == "GET" && !operation.body.empty()) throw unusable(operation, "a GET has no body");
  impl_->operations.push_back(std::move(operation));
}

void Api::addSchema(std::string name, std::string schema) {
  impl_->schemas.emplace_back(std::move(name), std::move(schema));
}

void Api::mount(std::string prefix, http::Handler handler) {
  impl_->mounts.emplace_back(std::move(prefix), std::move(handler));
}

const std::vector<Operation>& Api::operations() const noexcept { return impl_->operations; }

http::Handler Api::handler(std::shared_ptr<const Authenticator> authenticator) const {
  http::Router router;
  for (std::size_t i = 0; i < impl_->operations.size(); ++i) {
    const auto serve = [impl = impl_.get(), i, authenticator](http::Request&& request,
                                                              const http::Router::Parameters& parameters,
                                                              http::Responder answer) {
      const Operation& operation = impl->operations[i];
      const ApiOptions& options = impl->options;
      if (const auto pause = options.admitAddress ? options.admitAddress(request) : std::nullopt) {
        return answer.send(tooMany(*pause));
      }
      std::optional<Identity> who = judged(request, authenticator.get(), operation.role, answer);
      if (!who) return;
      if (const auto pause = options.admit ? options.admit(request, *who) : std::nullopt) {
        return answer.send(tooMany(*pause));
      }
      Call call{std::move(request), parameters, *std::move(who)};
      if (operation.handler) return operation.handler(std::move(call), std::move(answer));
      runBlocking(impl->pool, operation, std::move(call), std::move(answer));
    };
    router.add(impl_->operations[i].method, impl_->operations[i].pattern, http::Router::RouteHandler(serve));
  }
  for (const auto& [prefix, mounted] : impl_->mounts) router.mount(prefix, mounted);
  return router.handler();
}

}  // namespace tidegate::server
