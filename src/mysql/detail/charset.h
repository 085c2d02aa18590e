/// From the servers' character sets to UTF-8.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tidegate/core/value.h"

namespace tidegate::mysql::detail {

/// How text of one character set becomes UTF-8, exactly as the servers convert it: a table that is read by query and
/// the same table's changes must agree. A letter that Unicode lacks is a question mark, as in every client's result;
/// what is no text in the set, or has halves of surrogate pairs, becomes Bytes.
/// @thread Immutable: any.
class Charset {
 public:
  virtual ~Charset() = default;
  virtual void decode(std::string_view octets, Value& out) const = 0;
};

/// The UTF-8 of each octet of a set that has one octet a character.
using OctetTable = std::array<std::string, 256>;

/// Codes of several octets, and the UTF-8 of each.
using LetterTable = std::vector<std::pair<std::string, std::string>>;

/// Only the server knows how it reads a set: its "latin1" is cp1252, and its "sjis" is nobody else's.
struct ServersTables {
  std::function<OctetTable(const std::string& set)> octets;
  /// @param codes those that are well formed.
  std::function<LetterTable(const std::string& set, const std::vector<std::string>& codes)> letters;
};

/// utf8mb4 and utf8mb3.
std::shared_ptr<const Charset> utf8Charset();
/// A set that is not UTF-8, by its name in the servers ("latin1", "utf16le", "gbk").
/// @throws Error{typeUnsupported} for a set that is not known, and what asking for a table fails with.
std::shared_ptr<const Charset> charsetNamed(const std::string& name, const ServersTables& tables);

}  // namespace tidegate::mysql::detail
