#include <arpa/inet.h>
#include <fmt/format.h>

#include <fstream>
#include <sstream>

#include "core/detail/json_tree.h"
#include "kinesis/detail/credential_sources.h"
#include "kinesis/detail/sigv4.h"
#include "tidegate/core/error.h"
#include "tidegate/core/value.h"

namespace tidegate::kinesis::detail {
namespace {

constexpr std::size_t kAnswerMost = 64 * 1024;

[[noreturn]] void refuseKeys(std::string_view where, std::string_view why) {
  throw Error(ErrorCode::authenticationFailed, Retry::afterOperator, fmt::format("{} {}", where, why));
}

Clock::Micros timeOf(std::string_view text, std::string_view where) {
  Timestamp at;
  if (!parseTimestamp(text, at)) refuseKeys(where, "gave keys with an expiry that is no time");
  return Clock::Micros(at.micros);
}

std::string tokenFrom(const std::string& path, std::string_view what) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  if (in) out << in.rdbuf();
  std::string token = out.str();
  while (!token.empty() && (token.back() == '\n' || token.back() == '\r')) token.pop_back();
  if (token.empty()) refuseKeys(what, fmt::format("needs the file \"{}\", which is empty or cannot be read", path));
  return token;
}

http::Response ask(http::Client& client, const CredentialsOptions& options, http::ClientRequest request,
                   const std::stop_token& stop) {
  request.timeout = options.timeout;
  request.maxBodyBytes = kAnswerMost;
  return client.perform(request, stop);
}

/// The host that an URL of plain HTTP leads to; empty where it is anything else, or names a user: what stands before an
/// "@" only looks like a host.
std::string_view plainHostOf(std::string_view url) {
  constexpr std::string_view kScheme = "http://";
  if (!url.starts_with(kScheme)) return {};
  const std::string_view rest = url.substr(kScheme.size());
  const std::string_view authority = rest.substr(0, rest.find_first_of("/?#\\"));
  if (authority.find('@') != authority.npos) return {};
  if (authority.starts_with('[')) return authority.substr(0, authority.find(']') + 1);
  return authority.substr(0, authority.find(':'));
}

/// Only our own machine may be asked over plain HTTP: an URL that the environment names could lead anywhere.
bool mayBeAsked(const std::string& url) {
  if (url.starts_with("https://")) return true;
  const std::string host(plainHostOf(url));
  for (const char* own : {"localhost", "[::1]", "169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"}) {
    if (host == own) return true;
  }
  in_addr address{};
  return host.starts_with("127.") && inet_pton(AF_INET, host.c_str(), &address) == 1;
}

std::string xmlElement(std::string_view xml, std::string_view name) {
  const std::string open = fmt::format("<{}>", name);
  const std::size_t begin = xml.find(open);
  const std::size_t end = begin == xml.npos ? xml.npos : xml.find("</", begin);
  return end == xml.npos ? std::string() : std::string(xml.substr(begin + open.size(), end - begin - open.size()));
}

std::string settingOf(const Profile& profile, std::string_view name) {
  const auto found = profile.find(name);
  return found == profile.end() ? std::string() : found->second;
}

}  // namespace

Credentials keysFromJson(std::string_view json, std::string_view where) {
  const auto tree = tidegate::detail::JsonTree::tryParse(json);
  if (!tree || tree->root().kind() != tidegate::detail::JsonKind::object) refuseKeys(where, "did not answer with JSON");
  const auto text = [&](std::string_view name) {
    const auto found = tree->root().find(name);
    return found && found->kind() == tidegate::detail::JsonKind::string ? std::string(found->string()) : std::string();
  };
  Credentials keys{
      .accessKeyId = text("AccessKeyId"), .secretAccessKey = text("SecretAccessKey"), .sessionToken = text("Token")};
  if (keys.accessKeyId.empty() || keys.secretAccessKey.empty()) refuseKeys(where, "answered without keys");
  if (const std::string expires = text("Expiration"); !expires.empty()) keys.expires = timeOf(expires, where);
  return keys;
}

Credentials keysFromXml(std::string_view xml, std::string_view where) {
  Credentials keys{.accessKeyId = xmlElement(xml, "AccessKeyId"),
                   .secretAccessKey = xmlElement(xml, "SecretAccessKey"),
                   .sessionToken = xmlElement(xml, "SessionToken")};
  if (keys.accessKeyId.empty() || keys.secretAccessKey.empty()) refuseKeys(where, "answered without keys");
  if (const std::string expires = xmlElement(xml, "Expiration"); !expires.empty())
    keys.expires = timeOf(expires, where);
  return keys;
}

std::optional<Credentials> webIdentityKeys(http::Client& client, const CredentialsOptions& options,
                                           const Profile& profile, const std::stop_token& stop) {
  const std::string file =
      firstOf(environmentOf("AWS_WEB_IDENTITY_TOKEN_FILE"), settingOf(profile, "web_identity_token_file"));
  const std::string role = firstOf(environmentOf("AWS_ROLE_ARN"), settingOf(profile, "role_arn"));
  if (file.empty() || role.empty()) return std::nullopt;
  const std::string session =
      firstOf(firstOf(environmentOf("AWS_ROLE_SESSION_NAME"), settingOf(profile, "role_session_name")), "tidegate");
  std::string url = options.tokenServiceUrl;
  if (url.empty()) {
    const std::string region = defaultRegion(options);
    url = region.empty() ? "https://sts.amazonaws.com" : fmt::format("https://sts.{}.amazonaws.com", region);
  }
  const http::Response answer =
      ask(client, options,
          {.method = "POST",
           .url = url + "/",
           .headers = {{"content-type", "application/x-www-form-urlencoded"}},
           .body = fmt::format("Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn={}&RoleSessionName={}&"
                               "WebIdentityToken={}",
                               uriEncode(role), uriEncode(session), uriEncode(tokenFrom(file, "the web identity"))),
           .repeatable = true},
          stop);
  if (answer.status != 200) {
    refuseKeys("the token service", fmt::format("refused the web identity for role {}: status {} {}", role,
                                                answer.status, xmlElement(answer.body, "Code")));
  }
  return keysFromXml(answer.body, "the token service");
}

std::optional<Credentials> containerKeys(http::Client& client, const CredentialsOptions& options,
                                         const std::stop_token& stop) {
  std::string url = environmentOf("AWS_CONTAINER_CREDENTIALS_FULL_URI");
  if (const std::string relative = environmentOf("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"); !relative.empty()) {
    url = firstOf(options.containerUrl, "http://169.254.170.2") + relative;
  }
  if (url.empty()) return std::nullopt;
  if (!mayBeAsked(url)) {
    refuseKeys("AWS_CONTAINER_CREDENTIALS_FULL_URI", "is neither https nor an address of this machine");
  }
  http::ClientRequest request{.url = url};
  std::string token = environmentOf("AWS_CONTAINER_AUTHORIZATION_TOKEN");
  if (const std::string file = environmentOf("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"); !file.empty()) {
    token = tokenFrom(file, "the container's token");
  }
  if (!token.empty()) request.headers.set("authorization", token);
  const http::Response answer = ask(client, options, std::move(request), stop);
  if (answer.status != 200) {
    refuseKeys("the container's metadata service", fmt::format("refused: status {}", answer.status));
  }
  return keysFromJson(answer.body, "the container's metadata service");
}

std::optional<Credentials> instanceKeys(http::Client& client, const CredentialsOptions& options,
                                        const std::stop_token& stop) {
  if (environmentOf("AWS_EC2_METADATA_DISABLED") == "true") return std::nullopt;
  const std::string base = firstOf(firstOf(options.metadataUrl, environmentOf("AWS_EC2_METADATA_SERVICE_ENDPOINT")),
                                   "http://169.254.169.254");
  constexpr std::string_view kWhere = "the instance's metadata service";
  const http::Response token = ask(client, options,
                                   {.method = "PUT",
                                    .url = base + "/latest/api/token",
                                    .headers = {{"x-aws-ec2-metadata-token-ttl-seconds", "21600"}},
                                    .repeatable = true},
                                   stop);
  // No fall-back to IMDSv1: it would hand keys to whoever can make this host ask.
  if (token.status != 200) refuseKeys(kWhere, fmt::format("gave no token (IMDSv2): status {}", token.status));
  const http::Headers proof{{"x-aws-ec2-metadata-token", token.body}};
  const std::string path = base + "/latest/meta-data/iam/security-credentials/";
  const http::Response role = ask(client, options, {.url = path, .headers = proof}, stop);
  if (role.status == 404) return std::nullopt;  // an instance without a role
  if (role.status != 200) refuseKeys(kWhere, fmt::format("did not name the role: status {}", role.status));
  const std::string name = role.body.substr(0, role.body.find('\n'));
  const http::Response keys = ask(client, options, {.url = path + uriEncode(name), .headers = proof}, stop);
  if (keys.status != 200) refuseKeys(kWhere, fmt::format("has no keys for role {}: status {}", name, keys.status));
  return keysFromJson(keys.body, kWhere);
}

}  // namespace tidegate::kinesis::detail
