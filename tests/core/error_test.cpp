#include "tidegate/core/error.h"

#include <gtest/gtest.h>

#include "support/random_value.h"

namespace tidegate {
namespace {

TEST(Error, SaysItsCodeAndMessage) {
  const Error error(ErrorCode::backPressure, Retry::later, "the buffer is full");
  EXPECT_STREQ(error.what(), "backPressure: the buffer is full");
  EXPECT_EQ(error.message(), "the buffer is full");
  EXPECT_EQ(toString(error.code()), "backPressure");
  EXPECT_EQ(toString(error.retry()), "later");
  EXPECT_EQ(toString(Retry::outcomeUnknown), "outcomeUnknown");
  EXPECT_EQ(toString(ErrorCode::internal), "internal");
}

struct Redaction {
  std::string text;
  std::string redacted;
};

void expectRedactions(const std::vector<Redaction>& cases) {
  for (const auto& [text, redacted] : cases) {
    EXPECT_EQ(redactSecrets(text), redacted);
    EXPECT_EQ(redactSecrets(redacted), redacted) << "a second pass changes nothing";
  }
}

TEST(RedactSecrets, HidesPasswordsInUrls) {
  expectRedactions({
      {"postgres://joe:hunter2@db:5432/shop", "postgres://joe:***@db:5432/shop"},
      {"postgres://joe:hun@ter2@db/shop", "postgres://joe:***@db/shop"},
      {"mysql://joe:p/w?x@db:3306/shop", "mysql://joe:***@db:3306/shop"},
      {"https://ghp_abc@github.com/x", "https://***@github.com/x"},
      {"connect to \"postgres://a:b@h/d\" failed", "connect to \"postgres://a:***@h/d\" failed"},
      {"nats://h:4222, nats://u:p@h2:4222", "nats://h:4222, nats://u:***@h2:4222"},
      {"https://h/path?token=abc&x=1", "https://h/path?token=***&x=1"},
      {"http://host:80/path", "http://host:80/path"},
      {"http://[::1]:80/a@b", "http://[::1]:80/a@b"},
      {"https://host/a@b", "https://host/a@b"},
  });
}

TEST(RedactSecrets, HidesSecretsInConnectionStrings) {
  expectRedactions({
      {"host=db password=hunter2 user=joe", "host=db password=*** user=joe"},
      {"host=db password = 'it''s \\' x' user=joe", "host=db password = '***' user=joe"},
      {"Server=db;Pwd=hunter2;Uid=joe", "Server=db;Pwd=***;Uid=joe"},
      {"Driver=x;PASSWORD={a;b}};c};Uid=joe", "Driver=x;PASSWORD={***};Uid=joe"},
      {"sslpassword=abc sslkey=/k", "sslpassword=*** sslkey=/k"},
      {"passwd=\"a b\"", "passwd=\"***\""},
      {"aws_secret_access_key=AbC/1+2=", "aws_secret_access_key=***"},
      {"AWS_ACCESS_KEY_ID=AKIA", "AWS_ACCESS_KEY_ID=***"},
      {"X-Api-Key: abc", "X-Api-Key: ***"},
      {"{\"client_secret\": \"abc\", \"a\": 1}", "{\"client_secret\": \"***\", \"a\": 1}"},
      {"{\"token\":\"abc\"}", "{\"token\":\"***\"}"},
      {"Authorization: Bearer abc.def-ghi", "Authorization: Bearer ***"},
      {"sent Bearer abc.def", "sent Bearer ***"},
      {"ALTER ROLE joe PASSWORD 'x y'", "ALTER ROLE joe PASSWORD '***'"},
      {"password='unterminated", "password='***"},
  });
}

TEST(RedactSecrets, LeavesOrdinaryMessagesAlone) {
  for (const char* text :
       {"", "password authentication failed for user \"joe\"", "unexpected token: x", "column \"pass\" is missing",
        "key=value", "a://", "token", "password=", "12:30:00", "JSON at byte 3: expected a value", "the password"}) {
    EXPECT_EQ(redactSecrets(text), text);
  }
}

TEST(RedactSecrets, NeverLeaksAPlainPasswordWhereverItStands) {
  test::forEachSeed(1000, [](std::uint64_t seed) {
    test::Random random(seed);
    const std::string secret = "s3cr3t" + std::to_string(random.below(1000));
    const std::string before = test::randomText(random, 10) + " ";
    const std::string after = " " + test::randomText(random, 10);
    for (const std::string& form : {"password=" + secret, "pg://u:" + secret + "@h/d", "\"secret\": \"" + secret + "\"",
                                    "pwd='" + secret + "'"}) {
      std::string text = before;
      // A quote or key left open in front would claim what follows for itself, which hides it as well.
      text += form + after;
      EXPECT_EQ(redactSecrets(text).find(secret), std::string::npos) << text;
    }
  });
}

}  // namespace
}  // namespace tidegate
