#include "tidegate/kinesis/credentials.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "kinesis/detail/credential_sources.h"
#include "support/manual_clock.h"
#include "tidegate/core/error.h"
#include "tidegate/http/server.h"

namespace tidegate::kinesis {
namespace {

/// An environment without a trace of AWS, and a folder; both as they were afterwards.
class KinesisCredentials : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "tidegate-keys-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder = pattern;
    for (const char* name : kNames) ::unsetenv(name);
    set("AWS_EC2_METADATA_DISABLED", "true");
    options.configFile = write("config", "");
    options.credentialsFile = write("credentials", "");
  }
  void TearDown() override {
    for (const char* name : kNames) ::unsetenv(name);
    std::filesystem::remove_all(folder);
  }
  static void set(const char* name, const std::string& value) { ::setenv(name, value.c_str(), 1); }
  std::string write(const std::string& name, const std::string& content) {
    std::ofstream(folder + "/" + name) << content;
    return folder + "/" + name;
  }
  std::string keyOf(std::shared_ptr<CredentialsProvider> provider) { return provider->get({}).accessKeyId; }
  std::string refusal() {
    try {
      defaultCredentials(options)->get({});
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::authenticationFailed);
      return e.message();
    }
    return "";
  }

  static constexpr const char* kNames[] = {"AWS_ACCESS_KEY_ID",
                                           "AWS_SECRET_ACCESS_KEY",
                                           "AWS_SESSION_TOKEN",
                                           "AWS_PROFILE",
                                           "AWS_REGION",
                                           "AWS_DEFAULT_REGION",
                                           "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                                           "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
                                           "AWS_CONTAINER_AUTHORIZATION_TOKEN",
                                           "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
                                           "AWS_WEB_IDENTITY_TOKEN_FILE",
                                           "AWS_ROLE_ARN",
                                           "AWS_ROLE_SESSION_NAME",
                                           "AWS_EC2_METADATA_DISABLED"};
  std::string folder;
  CredentialsOptions options;
};

std::string keysJson(const std::string& id, const std::string& expires) {
  return R"({"AccessKeyId":")" + id + R"(","SecretAccessKey":"s","Token":"t","Expiration":")" + expires + "\"}";
}

TEST_F(KinesisCredentials, ComeFromTheEnvironmentFirst) {
  set("AWS_ACCESS_KEY_ID", "env");
  set("AWS_SECRET_ACCESS_KEY", "s");
  set("AWS_SESSION_TOKEN", "t");
  write("credentials", "[default]\naws_access_key_id=file\naws_secret_access_key=s\n");
  const Credentials keys = defaultCredentials(options)->get({});
  EXPECT_EQ(keys.accessKeyId, "env");
  EXPECT_EQ(keys.sessionToken, "t");
}

TEST_F(KinesisCredentials, ComeFromTheProfileOfTheSharedFiles) {
  write("config", "[default]\nregion = eu-west-1\n[profile other]\nregion=eu-central-1 \n aws_access_key_id=nested\n");
  write("credentials",
        "# a comment\n[default]\naws_access_key_id = one\naws_secret_access_key = s\n\n[other]\n; another\n"
        "aws_access_key_id=two\naws_secret_access_key=a=b\naws_session_token=t\n");
  EXPECT_EQ(keyOf(defaultCredentials(options)), "one");
  EXPECT_EQ(defaultRegion(options), "eu-west-1");
  options.profile = "other";
  const Credentials keys = defaultCredentials(options)->get({});
  EXPECT_EQ(keys.accessKeyId, "two");
  EXPECT_EQ(keys.secretAccessKey, "a=b");
  EXPECT_EQ(defaultRegion(options), "eu-central-1");
  options.profile.clear();
  set("AWS_PROFILE", "other");
  EXPECT_EQ(keyOf(defaultCredentials(options)), "two");
  set("AWS_REGION", "us-west-2");
  EXPECT_EQ(defaultRegion(options), "us-west-2");
}

TEST_F(KinesisCredentials, SayWhatWasTriedWhereThereAreNone) {
  const std::string why = refusal();
  EXPECT_NE(why.find("the environment"), why.npos);
  EXPECT_NE(why.find("the container"), why.npos);
  write("config", "[default]\ncredential_process = /bin/secret --token hush\n");
  const std::string process = refusal();
  EXPECT_NE(process.find("credential_process"), process.npos);
  EXPECT_EQ(process.find("hush"), process.npos);
}

TEST_F(KinesisCredentials, ComeFromTheInstanceByATokenAndAreRenewedBeforeTheyExpire) {
  test::ManualClock clock;
  std::atomic<int> asked{0};
  std::atomic<bool> away{false};
  http::Server server({}, http::Handler([&](http::Request&& request, http::Responder answer) {
                        if (away) return answer.send({.status = 500});
                        if (request.method == "PUT" && request.path == "/latest/api/token") {
                          return answer.send({.body = "proof"});
                        }
                        if (request.headers.get("x-aws-ec2-metadata-token") != "proof")
                          return answer.send({.status = 401});
                        if (request.path.ends_with("/security-credentials/")) return answer.send({.body = "the-role"});
                        if (!request.path.ends_with("/the-role")) return answer.send({.status = 404});
                        // An hour from the clock's beginning, then two.
                        const int n = ++asked;
                        answer.send({.body = keysJson("role" + std::to_string(n),
                                                      n == 1 ? "1970-01-01T01:00:00Z" : "1970-01-01T02:00:00Z")});
                      }));
  server.start();
  ::unsetenv("AWS_EC2_METADATA_DISABLED");
  options.metadataUrl = server.url();
  options.clock = &clock;
  clock.setWall(Clock::Micros(0));
  const auto provider = defaultCredentials(options);
  EXPECT_EQ(keyOf(provider), "role1");
  clock.setWall(std::chrono::minutes(54));
  EXPECT_EQ(keyOf(provider), "role1");
  clock.setWall(std::chrono::minutes(56));
  away = true;
  EXPECT_EQ(keyOf(provider), "role1") << "they are still good while the service is away";
  away = false;
  EXPECT_EQ(keyOf(provider), "role2");
  provider->refused();
  EXPECT_EQ(keyOf(provider), "role3");
  away = true;
  clock.setWall(std::chrono::hours(3));
  EXPECT_THROW(provider->get({}), Error);
  server.stop(std::chrono::seconds(1));
}

TEST_F(KinesisCredentials, ComeFromTheContainerWithItsToken) {
  http::Server server({}, http::Handler([&](http::Request&& request, http::Responder answer) {
                        if (request.headers.get("authorization") != "hush") return answer.send({.status = 403});
                        answer.send({.body = keysJson("container", "2999-01-01T00:00:00Z")});
                      }));
  server.start();
  set("AWS_CONTAINER_CREDENTIALS_FULL_URI", server.url() + "/keys");
  const std::string why = refusal();
  EXPECT_NE(why.find("403"), why.npos);
  set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", write("token", "hush\n"));
  EXPECT_EQ(keyOf(defaultCredentials(options)), "container");
  for (const char* elsewhere :
       {"http://example.org/keys", "http://127.0.0.1@example.org/keys", "http://localhost.example.org/",
        "http://169.254.170.2.example.org/", "http://127.example.org/", "http://127.0.0.1:80@example.org/",
        "http://[::1]@example.org/", "http://example.org\\@127.0.0.1/", "ftp://127.0.0.1/"}) {
    set("AWS_CONTAINER_CREDENTIALS_FULL_URI", elsewhere);
    EXPECT_NE(refusal().find("neither https"), std::string::npos) << "the token must not go to " << elsewhere;
  }
  server.stop(std::chrono::seconds(1));
}

TEST_F(KinesisCredentials, ComeFromAWebIdentity) {
  std::mutex mutex;
  std::string seen;
  http::Server server(
      {}, http::Handler([&](http::Request&& request, http::Responder answer) {
        seen = request.body;
        if (seen.find("WebIdentityToken=a%2Bb") == seen.npos) return answer.send({.status = 400});
        answer.send({.body = "<R><Credentials><AccessKeyId>web</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"
                             "<SessionToken>t</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration>"
                             "</Credentials></R>"});
      }));
  server.start();
  options.tokenServiceUrl = server.url();
  set("AWS_ROLE_ARN", "arn:aws:iam::1:role/r");
  set("AWS_WEB_IDENTITY_TOKEN_FILE", write("token", "a+b\n"));
  EXPECT_EQ(keyOf(defaultCredentials(options)), "web");
  {
    const std::lock_guard lock(mutex);
    EXPECT_NE(seen.find("RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr"), seen.npos) << seen;
  }
  write("token", "wrong-secret");
  const std::string why = refusal();
  EXPECT_NE(why.find("status 400"), why.npos);
  EXPECT_EQ(why.find("wrong-secret"), why.npos);
  server.stop(std::chrono::seconds(1));
}

TEST_F(KinesisCredentials, MustNotBeEmptyWhereTheyAreGiven) {
  EXPECT_THROW(staticCredentials({.accessKeyId = "a"}), Error);
  EXPECT_EQ(keyOf(staticCredentials({.accessKeyId = "a", .secretAccessKey = "b"})), "a");
}

}  // namespace
}  // namespace tidegate::kinesis
