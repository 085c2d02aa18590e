/// What a fuzz target says when a law is broken, in a build of any kind.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "tidegate/core/error.h"

#define FUZZ_CHECK(condition)                                                      \
  do {                                                                             \
    if (!(condition)) {                                                            \
      std::fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                \
    }                                                                              \
  } while (false)

namespace tidegate::fuzz {

/// Runs `body`; the one failure that input may cause is an Error of the given code.
/// @return whether it did not fail.
template <class Body>
bool takes(ErrorCode expected, const Body& body) {
  try {
    body();
    return true;
  } catch (const Error& e) {
    if (e.code() != expected) std::fprintf(stderr, "%s\n", e.what());
    FUZZ_CHECK(e.code() == expected);
    FUZZ_CHECK(!e.message().empty());
    return false;
  }
}

inline std::string_view textOf(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace tidegate::fuzz

/// The entry that libFuzzer and the corpus replay call.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
