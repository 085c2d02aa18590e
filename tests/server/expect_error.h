/// An expectation that a statement fails with an Error of that code, and a message that holds that text.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "tidegate/core/error.h"

namespace tidegate::server::test {

template <class Body>
::testing::AssertionResult failsWith(ErrorCode code, std::string_view text, const Body& body) {
  try {
    body();
  } catch (const Error& e) {
    if (e.code() == code && e.message().find(text) != std::string::npos) return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << e.what() << "; expected " << toString(code) << ": …" << text << "…";
  }
  return ::testing::AssertionFailure() << "nothing failed; expected " << toString(code) << ": …" << text << "…";
}

}  // namespace tidegate::server::test

#define EXPECT_ERROR(statement, code, text) \
  EXPECT_TRUE(tidegate::server::test::failsWith(code, text, [&] { static_cast<void>(statement); }))
