/// From the servers' character sets to UTF-8.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "tidegate/core/value.h"

namespace tidegate::mysql::detail {

/// How text of one character set becomes UTF-8. What is no text in it becomes Bytes: nothing is guessed.
/// @thread Immutable: any.
class Charset {
 public:
  virtual ~Charset() = default;
  virtual void decode(std::string_view octets, Value& out) const = 0;
};

/// The UTF-8 of each octet of a set that has one octet a character; empty: it has none.
using OctetTable = std::array<std::string, 256>;

/// utf8mb4, utf8mb3 and ascii.
std::shared_ptr<const Charset> utf8Charset();
/// A set that is not UTF-8, by its name in the servers ("latin1", "utf16le", "gbk").
/// @param table asked for sets of one octet, since only the server knows how it reads them ("latin1" is cp1252).
/// @throws Error{typeUnsupported} for a set that is not known.
std::shared_ptr<const Charset> charsetNamed(const std::string& name,
                                            const std::function<OctetTable(const std::string&)>& table);

}  // namespace tidegate::mysql::detail
