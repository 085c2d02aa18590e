/// A test case that runs against each server.
#pragma once

#include <gtest/gtest.h>

#include "servers/servers.h"

namespace tidegate::servers {

class ServerTest : public testing::TestWithParam<const char*> {
 protected:
  Server server{GetParam()};
  QueryFn admin = server.writer();
};

}  // namespace tidegate::servers

/// Instantiates a fixture derived from ServerTest for both servers.
#define TIDEGATE_FOR_BOTH_SERVERS(Fixture)                                         \
  INSTANTIATE_TEST_SUITE_P(Servers, Fixture, testing::Values("postgres", "mysql"), \
                           [](const testing::TestParamInfo<const char*>& i) { return std::string(i.param); })
