/// Hashes of rows that are equal where their values are the same, whatever a database made of their form.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "source/detail/hash.h"
#include "tidegate/core/value.h"

namespace tidegate::detail {

/// Appends a form that is the same for the same value: numbers by value, JSON by content, times by instant.
void appendCanonical(const Value& value, std::string& out);

/// @thread One at a time.
class RowDigest {
 public:
  /// @param columns  that count; @param key of them, or empty: all are the key.
  RowDigest(std::vector<std::uint32_t> columns, std::vector<std::uint32_t> key)
      : columns_(std::move(columns)), key_(key.empty() ? columns_ : std::move(key)) {}

  Hash128 key(const std::vector<Value>& row) { return hash128(textOf(row, key_)); }
  std::uint64_t row(const std::vector<Value>& row) { return hash64(textOf(row, columns_)); }
  const std::vector<std::uint32_t>& columns() const noexcept { return columns_; }

 private:
  const std::string& textOf(const std::vector<Value>& row, const std::vector<std::uint32_t>& columns);

  std::vector<std::uint32_t> columns_, key_;
  std::string text_{};
};

}  // namespace tidegate::detail
