/// A condition's text as tokens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tidegate::electric::detail {

/// @throws Error{invalidArgument} "At location <at>: <what>".
[[noreturn]] void refuseWhere(std::size_t at, const std::string& what);

enum class TokenKind : std::uint8_t { end, word, quotedName, text, number, parameter, symbol };

struct Token {
  TokenKind kind = TokenKind::end;
  std::size_t at = 0;
  std::string text{};           ///< word: lower case; name and text: without quotes; number and symbol: as written
  std::uint32_t parameter = 0;  ///< of `$n`
};

/// @thread One at a time.
class WhereLexer {
 public:
  explicit WhereLexer(std::string_view text) : text_(text) {}
  /// @throws Error{invalidArgument} for what is no token.
  Token next();

 private:
  void skipSpace();
  Token word();
  Token quoted(char quote, TokenKind kind);
  Token number();
  Token parameter();
  Token symbol();

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace tidegate::electric::detail
