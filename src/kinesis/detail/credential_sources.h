/// The places that keys come from, one by one. Each gives nothing where it does not apply, and throws where it applies
/// and fails.
#pragma once

#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "tidegate/http/client.h"
#include "tidegate/kinesis/credentials.h"

namespace tidegate::kinesis::detail {

/// An environment variable; "" where it is not set.
std::string environmentOf(const char* name);
/// The first that is not empty.
std::string firstOf(std::string_view given, std::string_view otherwise);

using Profile = std::map<std::string, std::string, std::less<>>;

/// Reads the files' form: `[section]`, `name = value`, comments by # and ;. Nested settings are left out.
/// In a config file a section is "profile NAME", but for "default".
std::map<std::string, Profile, std::less<>> parseSharedFile(std::string_view text, bool config);
/// What both files say of the profile, the credentials file winning. Empty where there is none.
Profile sharedProfile(const CredentialsOptions& options);

std::optional<Credentials> environmentKeys();
std::optional<Credentials> profileKeys(const CredentialsOptions& options, const Profile& profile);
/// AssumeRoleWithWebIdentity, with what the environment or the profile say.
std::optional<Credentials> webIdentityKeys(http::Client& client, const CredentialsOptions& options,
                                           const Profile& profile, const std::stop_token& stop);
std::optional<Credentials> containerKeys(http::Client& client, const CredentialsOptions& options,
                                         const std::stop_token& stop);
/// IMDSv2: a token first, then the role's name, then its keys.
std::optional<Credentials> instanceKeys(http::Client& client, const CredentialsOptions& options,
                                        const std::stop_token& stop);

/// Keys as the metadata services write them. @throws Error{authenticationFailed} naming `where`, never their content.
Credentials keysFromJson(std::string_view json, std::string_view where);
/// Keys as STS writes them. @throws as `keysFromJson`.
Credentials keysFromXml(std::string_view xml, std::string_view where);

}  // namespace tidegate::kinesis::detail
