/// Who we are to AWS's services: keys, and where they come from.
///
///     auto mine = kinesis::defaultCredentials({.profile = "replica"});
///     auto source = kinesis::source({.stream = "changes", .credentials = mine, …});
///
/// Keys that expire are asked for anew before they do. No key is ever part of a message.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "tidegate/core/clock.h"

namespace tidegate::kinesis {

/// Keys that requests are signed with.
struct Credentials {
  std::string accessKeyId{};
  std::string secretAccessKey{};
  std::string sessionToken{};              ///< of temporary keys; empty for keys of a user
  std::optional<Clock::Micros> expires{};  ///< Unix time; none: never
};

/// Gives keys, and new ones before they expire.
/// @thread Any.
class CredentialsProvider {
 public:
  virtual ~CredentialsProvider() = default;
  /// Keys that are good for a while. May ask over the network, and then waits for the answer.
  /// @throws Error{authenticationFailed, Retry::afterOperator} where there are none, naming each place that was tried;
  ///         Error{connectionFailed, Retry::later}
  virtual Credentials get(std::stop_token stop) = 0;
  /// A service refused the keys: the next `get` asks anew. The default does nothing.
  virtual void refused() {}
};

/// These keys and no others. @throws Error{invalidConfig} for an empty id or secret.
std::shared_ptr<CredentialsProvider> staticCredentials(Credentials credentials);

struct CredentialsOptions {
  std::string profile{};          ///< of the shared files; empty: AWS_PROFILE, then "default"
  std::string configFile{};       ///< empty: AWS_CONFIG_FILE, then ~/.aws/config
  std::string credentialsFile{};  ///< empty: AWS_SHARED_CREDENTIALS_FILE, then ~/.aws/credentials
  std::string metadataUrl{};      ///< empty: AWS_EC2_METADATA_SERVICE_ENDPOINT, then http://169.254.169.254
  std::string containerUrl{};     ///< of the host that AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is relative to; empty:
                                  ///< http://169.254.170.2
  std::string tokenServiceUrl{};  ///< STS, for web identities; empty: https://sts.<region>.amazonaws.com
  std::string region{};           ///< of STS; empty: as `defaultRegion`
  std::chrono::milliseconds timeout{2'000};  ///< of one request to a metadata service
  std::chrono::minutes before{5};            ///< keys are asked for anew this long before they expire
  const Clock* clock = nullptr;              ///< null: the system's
};

/// The first of these that has keys: environment (AWS_ACCESS_KEY_ID, …), web identity (AWS_WEB_IDENTITY_TOKEN_FILE,
/// AWS_ROLE_ARN), shared credentials and config files (keys, or a web identity, of the profile), container
/// (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI), instance (IMDSv2, unless AWS_EC2_METADATA_DISABLED is true).
std::shared_ptr<CredentialsProvider> defaultCredentials(CredentialsOptions options = {});

/// AWS_REGION, AWS_DEFAULT_REGION, the profile's region in the config file; "" where none says it.
std::string defaultRegion(const CredentialsOptions& options = {});

}  // namespace tidegate::kinesis
