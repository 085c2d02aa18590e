/// Writes aggregated records as the producer library does.
#pragma once

#include <openssl/evp.h>

#include <string>
#include <string_view>
#include <vector>

namespace tidegate::kinesis::testing {

inline std::string varint(std::uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
  return out;
}
inline std::string delimited(unsigned field, std::string_view octets) {
  return varint(field << 3 | 2) + varint(octets.size()) + std::string(octets);
}
inline std::string sealed(const std::string& message) {
  std::string digest(16, '\0');
  EVP_Digest(message.data(), message.size(), reinterpret_cast<unsigned char*>(digest.data()), nullptr, EVP_md5(),
             nullptr);
  return "\xF3\x89\x9A\xC2" + message + digest;
}
struct Part {
  std::string key;
  std::string data;
  std::string hashKey{};  ///< explicit
};
inline std::string aggregated(const std::vector<Part>& parts) {
  std::string keys, hashKeys, records;
  std::uint64_t key = 0, hashKey = 0;
  for (const Part& part : parts) {
    keys += delimited(1, part.key);
    std::string record = varint(1 << 3) + varint(key++);
    if (!part.hashKey.empty()) {
      hashKeys += delimited(2, part.hashKey);
      record += varint(2 << 3) + varint(hashKey++);
    }
    records += delimited(3, record + delimited(3, part.data));
  }
  return sealed(keys + hashKeys + records);
}

}  // namespace tidegate::kinesis::testing
