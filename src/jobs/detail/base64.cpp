#include "jobs/detail/base64.h"

#include <openssl/evp.h>

#include <climits>

#include "tidegate/core/error.h"

namespace tidegate::detail {

std::string base64(std::string_view octets) {
  if (octets.size() > INT_MAX / 2) {
    throw Error(ErrorCode::invalidArgument, Retry::never, "octets are too many to be written as text");
  }
  std::string out((octets.size() + 2) / 3 * 4 + 1, '\0');
  const int size =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                      reinterpret_cast<const unsigned char*>(octets.data()), static_cast<int>(octets.size()));
  out.resize(static_cast<std::size_t>(size));
  return out;
}

std::optional<std::string> fromBase64(std::string_view text) {
  if (text.size() % 4 != 0 || text.size() > INT_MAX) return std::nullopt;
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
  std::string out(text.size() / 4 * 3, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  if (size < 0 || static_cast<std::size_t>(size) != out.size()) return std::nullopt;
  out.resize(out.size() - padding);
  // OpenSSL forgives white space and bits in the padding.
  if (base64(out) != text) return std::nullopt;
  return out;
}

}  // namespace tidegate::detail
