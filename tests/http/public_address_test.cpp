#include "http/detail/public_address.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <string>

#include "http/server_rig.h"
#include "tidegate/core/error.h"
#include "tidegate/http/client.h"

namespace tidegate::http {
namespace {

bool isPublicText(const std::string& text) {
  sockaddr_in four{};
  four.sin_family = AF_INET;
  if (inet_pton(AF_INET, text.c_str(), &four.sin_addr) == 1) {
    return detail::isPublicAddress(reinterpret_cast<const sockaddr*>(&four), sizeof four);
  }
  sockaddr_in6 six{};
  six.sin6_family = AF_INET6;
  EXPECT_EQ(inet_pton(AF_INET6, text.c_str(), &six.sin6_addr), 1) << text;
  return detail::isPublicAddress(reinterpret_cast<const sockaddr*>(&six), sizeof six);
}

TEST(HttpPublicAddress, TellsPublicOnesFromLocalOnes) {
  for (const char* address :
       {"1.1.1.1",         "8.8.8.8",         "9.255.255.255", "11.0.0.0",         "100.63.255.255",
        "100.128.0.0",     "126.255.255.255", "128.0.0.0",     "169.253.0.1",      "172.15.0.1",
        "172.32.0.1",      "192.167.1.1",     "192.169.0.1",   "198.17.0.1",       "198.20.0.1",
        "223.255.255.255", "2606:4700::1111", "2a00:1450::1",  "64:ff9b::8.8.8.8", "2002:0808:0808::1"}) {
    EXPECT_TRUE(isPublicText(address)) << address;
  }
  for (const char* address : {"0.0.0.0",
                              "0.1.2.3",
                              "10.0.0.1",
                              "10.255.255.255",
                              "100.64.0.1",
                              "127.0.0.1",
                              "127.255.255.254",
                              "169.254.169.254",
                              "172.16.0.1",
                              "172.31.255.255",
                              "192.0.0.1",
                              "192.0.2.1",
                              "192.88.99.1",
                              "192.168.0.1",
                              "198.18.0.1",
                              "198.19.255.255",
                              "198.51.100.1",
                              "203.0.113.9",
                              "224.0.0.1",
                              "239.1.1.1",
                              "240.0.0.1",
                              "255.255.255.255",
                              "::",
                              "::1",
                              "::ffff:127.0.0.1",
                              "::ffff:8.8.8.8",
                              "::127.0.0.1",
                              "64:ff9b::10.0.0.1",
                              "64:ff9b:1::1",
                              "100::1",
                              "2001::1",
                              "2001:db8::1",
                              "2002:7f00:1::1",
                              "2002:a9fe:a9fe::1",
                              "3fff::1",
                              "fc00::1",
                              "fd12::1",
                              "fe80::1",
                              "fec0::1",
                              "ff02::1"}) {
    EXPECT_FALSE(isPublicText(address)) << address;
  }
  sockaddr unknown{};
  unknown.sa_family = AF_UNIX;
  EXPECT_FALSE(detail::isPublicAddress(&unknown, sizeof unknown));
}

TEST(HttpClientPublicAddresses, ConnectsToNoLocalOneHoweverItIsWritten) {
  test::Rig rig(test::echo);
  const std::string port = ":" + std::to_string(rig.server.port()) + "/x";
  Client open;
  Client closed({.publicAddressesOnly = true});
  ASSERT_EQ(open.perform({.url = "http://localhost" + port}).status, 200);
  // "localhost" is a name: it is judged by what it resolves to.
  for (const std::string host : {"127.0.0.1", "localhost", "LOCALHOST.", "2130706433", "0x7f.1", "0177.0.0.1", "127.1",
                                 "0.0.0.0", "0", "[::1]", "[::ffff:127.0.0.1]"}) {
    try {
      closed.perform({.url = "http://" + host + port});
      ADD_FAILURE() << host;
    } catch (const Error& e) {
      EXPECT_TRUE(e.code() == ErrorCode::permissionDenied || host == "LOCALHOST.") << e.what();
    }
  }
  EXPECT_EQ(rig.server.stats().connections, 1u);
}

TEST(HttpClientPublicAddresses, UsesNoProxy) {
  test::Rig rig(test::echo);
  ASSERT_EQ(setenv("http_proxy", rig.server.url().c_str(), 1), 0);
  Client closed({.publicAddressesOnly = true});
  EXPECT_THROW(closed.perform({.url = "http://127.0.0.2:1/"}), Error);
  unsetenv("http_proxy");
  EXPECT_EQ(rig.server.stats().connections, 0u);
}

}  // namespace
}  // namespace tidegate::http
