#include <algorithm>
#include <map>
#include <mutex>

#include "tidegate/sink/dead_letters.h"

namespace tidegate {

namespace {

class MemoryDeadLetters final : public DeadLetters {
 public:
  void add(const DeadLetter& letter) override {
    const std::lock_guard lock(mutex_);
    const auto same = [&](const auto& held) {
      return held.second.pipeline == letter.pipeline && held.second.positionText == letter.positionText;
    };
    if (std::any_of(letters_.begin(), letters_.end(), same)) return;
    const std::uint64_t id = ++lastId_;
    letters_.emplace(id, letter).first->second.id = id;
  }

  std::vector<DeadLetter> read(std::string_view pipeline, std::uint64_t afterId, std::size_t limit) const override {
    const std::lock_guard lock(mutex_);
    std::vector<DeadLetter> found;
    for (auto at = letters_.upper_bound(afterId); at != letters_.end() && found.size() < limit; ++at) {
      if (isOf(at->second, pipeline)) found.push_back(at->second);
    }
    return found;
  }

  std::uint64_t count(std::string_view pipeline) const override {
    const std::lock_guard lock(mutex_);
    return static_cast<std::uint64_t>(
        std::count_if(letters_.begin(), letters_.end(), [&](const auto& held) { return isOf(held.second, pipeline); }));
  }

  bool remove(std::uint64_t id) override {
    const std::lock_guard lock(mutex_);
    return letters_.erase(id) > 0;
  }

  std::uint64_t purge(std::string_view pipeline) override {
    const std::lock_guard lock(mutex_);
    return std::erase_if(letters_, [&](const auto& held) { return isOf(held.second, pipeline); });
  }

 private:
  static bool isOf(const DeadLetter& letter, std::string_view pipeline) {
    return pipeline.empty() || letter.pipeline == pipeline;
  }

  mutable std::mutex mutex_;  ///< guards everything below
  std::map<std::uint64_t, DeadLetter> letters_;
  std::uint64_t lastId_ = 0;
};

}  // namespace

std::shared_ptr<DeadLetters> memoryDeadLetters() { return std::make_shared<MemoryDeadLetters>(); }

}  // namespace tidegate
