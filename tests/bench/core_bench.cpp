#include <openssl/evp.h>

#include "bench/data.h"
#include "bench/harness.h"

namespace tidegate::bench {
namespace {

constexpr std::size_t kRows = 200'000;

/// The limit: SHA-256 of the same canonical octets, with one context and one fetched digest.
double bareSha256(const std::vector<std::string>& texts) {
  EVP_MD* digest = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  const double seconds = secondsOf([&] {
    unsigned char out[32];
    for (const std::string& text : texts) {
      EVP_DigestInit_ex2(context, digest, nullptr);
      EVP_DigestUpdate(context, text.data(), text.size());
      EVP_DigestFinal_ex(context, out, nullptr);
      keep(out);
    }
  });
  EVP_MD_CTX_free(context);
  EVP_MD_free(digest);
  return seconds;
}

void extractDeltaBench() {
  std::vector<Row> rows;
  std::vector<std::string> ids;
  std::vector<std::string> canonical(kRows);
  for (std::size_t i = 0; i < kRows; ++i) {
    rows.push_back({userColumns(), userValues(i)});
    ids.push_back(fmt::format("row-{}", i));
    appendCanonicalJson(userDelta(i, "ingest:shop"), canonical[i]);
  }
  const auto ours = [&] {
    return secondsOf([&] {
      for (std::size_t i = 0; i < kRows; ++i) {
        keep(extractDelta(
            nullptr, &rows[i],
            {.table = "users", .rowId = ids[i], .clientId = "ingest:shop", .hlc = {(kFirstMillis << 16) + i}}));
      }
    });
  };
  const Pair pair = measurePair(9, ours, [&] { return bareSha256(canonical); });
  report({"extract_delta", pair.ours / kRows * 1e9, "ns", pair.limit / kRows * 1e9, Better::lower, 3.0});
}

const Registration kExtractDelta("extract_delta", "a 5-column insert with its id / bare SHA-256 of the same octets",
                                 extractDeltaBench);

}  // namespace
}  // namespace tidegate::bench
