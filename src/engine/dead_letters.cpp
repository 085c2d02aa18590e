#include "tidegate/engine/dead_letters.h"

#include <algorithm>
#include <mutex>

namespace tidegate {
namespace {

class MemoryDeadLetters final : public DeadLetters {
 public:
  void add(const DeadLetter& letter) override {
    const std::lock_guard lock(mutex_);
    const bool known = std::any_of(letters_.begin(), letters_.end(), [&](const DeadLetter& other) {
      return other.pipeline == letter.pipeline && other.positionText == letter.positionText;
    });
    if (known) return;
    letters_.push_back(letter);
    letters_.back().id = ++lastId_;
  }

  std::vector<DeadLetter> read(std::string_view pipeline, std::uint64_t afterId, std::size_t limit) const override {
    const std::lock_guard lock(mutex_);
    std::vector<DeadLetter> found;
    for (const DeadLetter& letter : letters_) {
      if (found.size() >= limit) break;
      if (letter.id > afterId && isOf(letter, pipeline)) found.push_back(letter);
    }
    return found;
  }

  std::uint64_t count(std::string_view pipeline) const override {
    const std::lock_guard lock(mutex_);
    return static_cast<std::uint64_t>(std::count_if(
        letters_.begin(), letters_.end(), [&](const DeadLetter& letter) { return isOf(letter, pipeline); }));
  }

  bool remove(std::uint64_t id) override {
    const std::lock_guard lock(mutex_);
    return std::erase_if(letters_, [&](const DeadLetter& letter) { return letter.id == id; }) > 0;
  }

  std::uint64_t purge(std::string_view pipeline) override {
    const std::lock_guard lock(mutex_);
    return std::erase_if(letters_, [&](const DeadLetter& letter) { return isOf(letter, pipeline); });
  }

 private:
  static bool isOf(const DeadLetter& letter, std::string_view pipeline) {
    return pipeline.empty() || letter.pipeline == pipeline;
  }

  mutable std::mutex mutex_;
  std::vector<DeadLetter> letters_;  ///< guarded by mutex_, as the next
  std::uint64_t lastId_ = 0;
};

}  // namespace

std::shared_ptr<DeadLetters> memoryDeadLetters() { return std::make_shared<MemoryDeadLetters>(); }

}  // namespace tidegate
