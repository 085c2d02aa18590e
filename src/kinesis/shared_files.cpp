#include <fmt/format.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "kinesis/detail/credential_sources.h"
#include "tidegate/core/error.h"

namespace tidegate::kinesis::detail {
namespace {

std::string_view blanksCut(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  const std::size_t begin = text.find_first_not_of(kBlank);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

/// "" where the file is not there: both are optional.
std::string contentOf(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  if (in) out << in.rdbuf();
  return out.str();
}

std::string homeFile(const char* name) {
  const std::string home = environmentOf("HOME");
  return home.empty() ? std::string() : home + "/.aws/" + name;
}

/// "[profile x]" in a config file; "" for another kind of section.
std::string profileNameOf(std::string_view section, bool config) {
  constexpr std::string_view kProfile = "profile ";
  if (!config || section == "default") return std::string(section);
  return section.starts_with(kProfile) ? std::string(blanksCut(section.substr(kProfile.size()))) : std::string();
}

std::string get(const Profile& profile, std::string_view name) {
  const auto found = profile.find(name);
  return found == profile.end() ? std::string() : found->second;
}

}  // namespace

std::string environmentOf(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

std::string firstOf(std::string_view given, std::string_view otherwise) {
  return std::string(given.empty() ? otherwise : given);
}

std::map<std::string, Profile, std::less<>> parseSharedFile(std::string_view text, bool config) {
  std::map<std::string, Profile, std::less<>> profiles;
  Profile* current = nullptr;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view whole = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::string_view line = blanksCut(whole);
    if (line.empty() || line.front() == '#' || line.front() == ';') continue;
    if (line.front() == '[') {
      const std::string name = profileNameOf(blanksCut(line.substr(1, line.find(']') - 1)), config);
      current = name.empty() ? nullptr : &profiles[name];
      continue;
    }
    const std::size_t equals = line.find('=');
    const bool nested = whole.front() == ' ' || whole.front() == '\t';
    if (current == nullptr || nested || equals == line.npos) continue;
    (*current)[std::string(blanksCut(line.substr(0, equals)))] = blanksCut(line.substr(equals + 1));
  }
  return profiles;
}

Profile sharedProfile(const CredentialsOptions& options) {
  const std::string name = firstOf(firstOf(options.profile, environmentOf("AWS_PROFILE")), "default");
  const std::string config = firstOf(firstOf(options.configFile, environmentOf("AWS_CONFIG_FILE")), homeFile("config"));
  const std::string keys =
      firstOf(firstOf(options.credentialsFile, environmentOf("AWS_SHARED_CREDENTIALS_FILE")), homeFile("credentials"));
  auto configured = parseSharedFile(contentOf(config), true);
  const auto kept = parseSharedFile(contentOf(keys), false);
  Profile profile = std::move(configured[name]);
  if (const auto found = kept.find(name); found != kept.end()) {
    for (const auto& [setting, value] : found->second) profile[setting] = value;
  }
  return profile;
}

std::optional<Credentials> environmentKeys() {
  Credentials keys{.accessKeyId = environmentOf("AWS_ACCESS_KEY_ID"),
                   .secretAccessKey = environmentOf("AWS_SECRET_ACCESS_KEY"),
                   .sessionToken = environmentOf("AWS_SESSION_TOKEN")};
  if (keys.accessKeyId.empty() || keys.secretAccessKey.empty()) return std::nullopt;
  return keys;
}

std::optional<Credentials> profileKeys(const CredentialsOptions& options, const Profile& profile) {
  Credentials keys{.accessKeyId = get(profile, "aws_access_key_id"),
                   .secretAccessKey = get(profile, "aws_secret_access_key"),
                   .sessionToken = get(profile, "aws_session_token")};
  if (!keys.accessKeyId.empty() && !keys.secretAccessKey.empty()) return keys;
  for (const char* setting : {"credential_process", "sso_session", "sso_start_url", "source_profile"}) {
    if (get(profile, setting).empty()) continue;
    throw Error(
        ErrorCode::authenticationFailed, Retry::afterOperator,
        fmt::format("profile \"{}\" gets its keys by {}, which is not supported: give keys in the profile, in the "
                    "environment or by a CredentialsProvider of your own",
                    firstOf(firstOf(options.profile, environmentOf("AWS_PROFILE")), "default"), setting));
  }
  return std::nullopt;
}

}  // namespace tidegate::kinesis::detail

namespace tidegate::kinesis {

std::string defaultRegion(const CredentialsOptions& options) {
  using detail::environmentOf;
  for (const std::string& region : {options.region, environmentOf("AWS_REGION"), environmentOf("AWS_DEFAULT_REGION")}) {
    if (!region.empty()) return region;
  }
  const detail::Profile profile = detail::sharedProfile(options);
  const auto found = profile.find("region");
  return found == profile.end() ? std::string() : found->second;
}

}  // namespace tidegate::kinesis
