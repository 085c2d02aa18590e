// Vectors: AWS's Signature Version 4 test suite (get-…, post-…), and the examples of "Signature Calculations for the
// Authorization Header" in the S3 API reference.
#include "kinesis/detail/sigv4.h"

#include <gtest/gtest.h>

namespace tidegate::kinesis::detail {
namespace {

constexpr std::string_view kSuiteDate = "20150830T123600Z";
constexpr std::string_view kS3Date = "20130524T000000Z";

std::string signatureOf(const std::string& header) { return header.substr(header.rfind('=') + 1); }

std::string suiteSignature(Signable request) {
  request.headers.add("Host", "example.amazonaws.com");
  request.headers.add("X-Amz-Date", std::string(kSuiteDate));
  if (request.payloadHash.empty()) request.payloadHash = sha256Hex("");
  return signatureOf(authorization(
      request, {"us-east-1", "service"},
      {.accessKeyId = "AKIDEXAMPLE", .secretAccessKey = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}, kSuiteDate));
}

std::string s3Authorization(Signable request, std::string_view body = {}) {
  request.payloadHash = sha256Hex(body);
  request.headers.set("Host", "examplebucket.s3.amazonaws.com");
  request.headers.set("x-amz-date", std::string(kS3Date));
  request.headers.set("x-amz-content-sha256", request.payloadHash);
  return authorization(
      request, {"us-east-1", "s3"},
      {.accessKeyId = "AKIAIOSFODNN7EXAMPLE", .secretAccessKey = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}, kS3Date);
}

TEST(SigV4, SignsTheSuitesPlainRequests) {
  EXPECT_EQ(suiteSignature({.method = "GET", .canonicalPath = "/"}),
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
  EXPECT_EQ(suiteSignature({.method = "POST", .canonicalPath = "/"}),
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b");
}

TEST(SigV4, SortsAndEncodesTheQueryAsTheSuiteDoes) {
  EXPECT_EQ(
      suiteSignature({.method = "GET", .canonicalPath = "/", .query = {{"Param2", "value2"}, {"Param1", "value1"}}}),
      "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500");
  const std::string unreserved = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  EXPECT_EQ(suiteSignature({.method = "GET", .canonicalPath = "/", .query = {{unreserved, unreserved}}}),
            "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197");
}

TEST(SigV4, EncodesPathsInUtf8) {
  EXPECT_EQ(suiteSignature({.method = "GET", .canonicalPath = uriEncode("/\xE1\x88\xB4", true)}),
            "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85");
}

TEST(SigV4, TrimsFieldsAsTheSuiteDoes) {
  EXPECT_EQ(suiteSignature({.method = "GET",
                            .canonicalPath = "/",
                            .headers = {{"My-Header1", " value1"}, {"My-Header2", " \"a   b   c\""}}}),
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736");
}

TEST(SigV4, SignsTheSuitesForm) {
  EXPECT_EQ(suiteSignature({.method = "POST",
                            .canonicalPath = "/",
                            .headers = {{"Content-Type", "application/x-www-form-urlencoded"}},
                            .payloadHash = sha256Hex("Param1=value1")}),
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a");
}

TEST(SigV4, SignsTheExamplesOfS3) {
  EXPECT_EQ(s3Authorization({.method = "GET", .canonicalPath = "/test.txt", .headers = {{"Range", "bytes=0-9"}}}),
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
            "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
            "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
  EXPECT_EQ(signatureOf(s3Authorization(
                {.method = "PUT",
                 .canonicalPath = uriEncode("/test$file.text", true),
                 .headers = {{"Date", "Fri, 24 May 2013 00:00:00 GMT"}, {"x-amz-storage-class", "REDUCED_REDUNDANCY"}}},
                "Welcome to Amazon S3.")),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
  EXPECT_EQ(signatureOf(s3Authorization({.method = "GET", .canonicalPath = "/", .query = {{"lifecycle", ""}}})),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
  EXPECT_EQ(signatureOf(s3Authorization(
                {.method = "GET", .canonicalPath = "/", .query = {{"prefix", "J"}, {"max-keys", "2"}}})),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

TEST(SigV4, EncodesWhatTheServicesEncode) {
  EXPECT_EQ(uriEncode("a b!'()*~._-+:=/%"), "a%20b%21%27%28%29%2A~._-%2B%3A%3D%2F%25");
  EXPECT_EQ(uriEncode("a/b c", true), "a/b%20c");
  EXPECT_EQ(canonicalQuery({{"b", "/"}, {"a", "2"}, {"a", "1"}, {"B", ""}}), "B=&a=1&a=2&b=%2F");
  EXPECT_EQ(amzDate(1'440'938'160), kSuiteDate);
}

}  // namespace
}  // namespace tidegate::kinesis::detail
