#include "electric/detail/source_refusal.h"

#include <fmt/format.h>

#include "core/detail/json_tree.h"
#include "electric/detail/source_schema.h"

namespace tidegate::electric::reading {
namespace {

constexpr std::size_t kMostSaid = 600;

/// The server's words on one line.
std::string said(std::string_view body) {
  std::string text(body.substr(0, kMostSaid));
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  }
  return redactSecrets(text);
}

/// Whether the server's `errors` are about that parameter.
bool isAbout(std::string_view body, std::string_view parameter) {
  const auto tree = tidegate::detail::JsonTree::tryParse(body);
  if (!tree || tree->root().kind() != tidegate::detail::JsonKind::object) return false;
  const auto errors = tree->root().find("errors");
  return errors && errors->kind() == tidegate::detail::JsonKind::object && errors->find(parameter);
}

struct Meaning {
  ErrorCode code;
  Retry retry;
  std::string text;
};

Meaning meaningOf(const Refusal& refused) {
  const int status = refused.status;
  const Retry whenMended = refused.mayMend ? Retry::later : Retry::afterOperator;
  if (status == 400 && !refused.from.isStart() && isAbout(refused.body, "offset")) {
    return {
        ErrorCode::positionLost, Retry::afterOperator,
        fmt::format("the server's log does not reach to {} any more; a new baseline is needed", toText(refused.from))};
  }
  if (status == 401) {
    return {ErrorCode::authenticationFailed, whenMended,
            "the server does not accept who asks; check headers, auth and parameters"};
  }
  if (status == 403) return {ErrorCode::permissionDenied, whenMended, "the server does not allow this shape"};
  if (status == 404 || status == 410 || (status == 400 && isAbout(refused.body, "table"))) {
    return {ErrorCode::tableNotFound, Retry::afterOperator, "the server has no such shape; check url and table"};
  }
  if (status == 408 || status == 425 || status == 429 || status >= 500) {
    return {ErrorCode::connectionFailed, Retry::later, "the server cannot answer now"};
  }
  if (status >= 300 && status < 400) {
    return {ErrorCode::invalidConfig, Retry::afterOperator, "the server answers with a redirect; correct url"};
  }
  if (status < 300) return {ErrorCode::parseError, Retry::later, "this is no answer of a Shape API"};
  return {ErrorCode::queryFailed, Retry::afterOperator,
          "the server refuses this shape; check where, params, columns and key"};
}

}  // namespace

Error refusal(const SourceShape& shape, const Refusal& refused) {
  const Meaning meaning = meaningOf(refused);
  return Error(
      meaning.code, meaning.retry,
      fmt::format("shape \"{}\": {} (HTTP {}: {})", nameOf(shape), meaning.text, refused.status, said(refused.body)));
}

}  // namespace tidegate::electric::reading
