// Whatever a segment of a stream log holds, opening it gives whole streams or one error that names the file. And the
// texts of the protocol: no input breaks their readers.
#include <cstring>
#include <map>

#include "core/detail/octet_text.h"
#include "durable_streams/detail/json_body.h"
#include "durable_streams/detail/protocol.h"
#include "durable_streams/detail/record.h"
#include "durable_streams/detail/webhook_url.h"
#include "fuzz/check.h"
#include "tidegate/durable_streams/file_store.h"

namespace {

using namespace tidegate;
using namespace tidegate::durable_streams;

/// Files in memory.
class MemoryFiles final : public FileSystem {
 public:
  explicit MemoryFiles(std::map<std::string, std::string>& files) : files_(files) {}
  void openFolder() override {}
  std::vector<std::string> list() override {
    std::vector<std::string> names;
    for (const auto& [name, octets] : files_) names.push_back(name);
    return names;
  }
  std::unique_ptr<File> open(const std::string& name, bool) override { return std::make_unique<Octets>(files_[name]); }
  void remove(const std::string& name) override { files_.erase(name); }
  void syncFolder() override {}
  std::string pathOf(const std::string& name) const override { return name; }

 private:
  class Octets final : public File {
   public:
    explicit Octets(std::string& octets) : octets_(octets) {}
    std::size_t read(std::uint64_t at, char* into, std::size_t size) const override {
      if (at >= octets_.size()) return 0;
      const std::size_t n = std::min(size, octets_.size() - static_cast<std::size_t>(at));
      std::memcpy(into, octets_.data() + at, n);
      return n;
    }
    void write(std::uint64_t at, std::string_view octets) override {
      if (octets_.size() < at + octets.size()) octets_.resize(at + octets.size());
      octets_.replace(at, octets.size(), octets);
    }
    void sync() override {}
    void truncate(std::uint64_t size) override { octets_.resize(size); }
    std::uint64_t size() const override { return octets_.size(); }

   private:
    std::string& octets_;
  };
  std::map<std::string, std::string>& files_;
};

void openLog(std::string_view input, bool sealed) {
  constexpr std::uint64_t kSeed = 42;
  std::string octets = durable_streams::detail::segmentHeader(1, kSeed);
  if (sealed) {
    std::string batch(durable_streams::detail::kBatchHeader, '\0');
    batch.append(input);
    durable_streams::detail::sealBatch(batch, 1, kSeed);
    octets += batch;
  } else {
    octets += input;
  }
  std::map<std::string, std::string> files{{"0000000001.segment", octets}};
  fuzz::takes(ErrorCode::storeCorrupt, [&] {
    auto store = fileStreamStore({.files = std::make_unique<MemoryFiles>(files), .ownThread = false});
    for (const std::string& path : store->paths()) {
      for (Position at = 0;;) {
        const StreamRead part = store->read(path, at, 1'000);
        if (part.verdict != ReadVerdict::data || part.upToDate) break;
        FUZZ_CHECK(part.next > at);
        at = part.next;
      }
    }
  });
}

void readTexts(std::string_view text) {
  if (const auto position = parsePosition(text))
    FUZZ_CHECK(*position > (Position{1} << 60) || parsePosition(formatPosition(*position)) == position);
  durable_streams::detail::rfc3339(text);
  durable_streams::detail::wholeNumber(text, true);
  durable_streams::detail::isContentType(text);
  durable_streams::detail::matchesEtag(text, "\"a\"");
  durable_streams::detail::webhookUrlProblem(text, true);
  durable_streams::detail::globMatches(text.substr(0, 100), text);
  tidegate::detail::fromBase64Url(text);
  FUZZ_CHECK(tidegate::detail::fromBase64Url(tidegate::detail::base64UrlOf(text)) == text);
}

void readJson(std::string_view text) {
  durable_streams::detail::JsonChecker checker;
  const durable_streams::detail::JsonBody body = durable_streams::detail::jsonBody(checker, std::string(text), true);
  if (!body.problem.empty() || body.kept.empty()) return;
  // What is kept is an array between brackets, and its messages can be counted.
  std::string array = durable_streams::detail::jsonArray(body.kept);
  FUZZ_CHECK(checker.check(array).empty());
  std::uint64_t messages = 0;
  while (durable_streams::detail::endOfMessages(body.kept, messages + 1)) ++messages;
  FUZZ_CHECK(messages > 0 && durable_streams::detail::endOfMessages(body.kept, messages) == body.kept.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text = fuzz::textOf(data + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      openLog(text, true);
      break;
    case 1:
      openLog(text, false);
      break;
    case 2:
      readTexts(text);
      break;
    default:
      readJson(text);
      break;
  }
  return 0;
}
