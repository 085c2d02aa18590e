#include "durable_streams/sim_disk.h"

#include <algorithm>
#include <cstring>

#include "tidegate/core/error.h"

namespace tidegate::durable_streams::testing {

namespace {

/// Smaller than any disk's, so that small commits are torn too.
constexpr std::size_t kSector = 64;

}  // namespace

class SimFile final : public File {
 public:
  SimFile(SimDisk& disk, std::shared_ptr<SimDisk::Content> content) : disk_(disk), content_(std::move(content)) {}

  std::size_t read(std::uint64_t at, char* into, std::size_t size) const override {
    if (at >= content_->now.size()) return 0;
    const std::size_t n = std::min(size, content_->now.size() - static_cast<std::size_t>(at));
    std::memcpy(into, content_->now.data() + at, n);
    return n;
  }
  void write(std::uint64_t at, std::string_view octets) override { change({.at = at, .octets = std::string(octets)}); }
  void truncate(std::uint64_t size) override { change({.at = size, .truncate = true}); }
  void sync() override {
    if (!disk_.step()) {
      // The device may have been told, or not.
      if (disk_.random_.chance(50)) settle();
      throw PowerLoss();
    }
    settle();
  }
  std::uint64_t size() const override { return content_->now.size(); }

 private:
  void change(SimDisk::Write write) {
    const bool whole = disk_.step();
    content_->since.push_back(write);
    SimDisk::apply(content_->now, write);
    if (!whole) throw PowerLoss();
  }
  void settle() {
    content_->synced = content_->now;
    content_->since.clear();
  }

  SimDisk& disk_;
  std::shared_ptr<SimDisk::Content> content_;
};

class SimFileSystem final : public FileSystem {
 public:
  explicit SimFileSystem(SimDisk& disk) : disk_(disk) {}

  void openFolder() override {}
  std::vector<std::string> list() override { return disk_.names(); }
  std::unique_ptr<File> open(const std::string& name, bool create) override {
    if (!disk_.step()) throw PowerLoss();
    auto& content = disk_.now_[name];
    if (!content) {
      if (!create) throw Error(ErrorCode::storeUnavailable, Retry::afterOperator, "no file " + name);
      content = std::make_shared<SimDisk::Content>();
    }
    return std::make_unique<SimFile>(disk_, content);
  }
  void remove(const std::string& name) override {
    if (!disk_.step()) throw PowerLoss();
    disk_.now_.erase(name);
  }
  void syncFolder() override {
    if (!disk_.step()) throw PowerLoss();
    disk_.synced_ = disk_.now_;
  }
  std::string pathOf(const std::string& name) const override { return "disk/" + name; }

 private:
  SimDisk& disk_;
};

std::unique_ptr<FileSystem> SimDisk::mount() { return std::make_unique<SimFileSystem>(*this); }

bool SimDisk::step() {
  if (lost_) throw PowerLoss();
  ++operations_;
  if (left_ > 0 && --left_ == 0) lost_ = true;
  return !lost_;
}

std::vector<std::string> SimDisk::names() const {
  std::vector<std::string> names;
  for (const auto& [name, content] : now_) names.push_back(name);
  return names;
}

void SimDisk::apply(std::string& octets, const Write& write) {
  if (write.truncate) {
    octets.resize(write.at);
    return;
  }
  if (octets.size() < write.at + write.octets.size()) octets.resize(write.at + write.octets.size());
  std::copy(write.octets.begin(), write.octets.end(), octets.begin() + static_cast<std::ptrdiff_t>(write.at));
}

/// Each sector of each write that was not synced arrived, or did not, whatever the order in which they were written.
std::string SimDisk::survivor(const Content& content) {
  std::string octets = content.synced;
  const std::uint64_t luck = random_.below(3);  // none, all, some
  for (const Write& write : content.since) {
    if (luck == 0) continue;
    if (luck == 1 || write.truncate) {
      if (luck == 1 || random_.chance(50)) apply(octets, write);
      continue;
    }
    for (std::size_t at = 0; at < write.octets.size();) {
      const std::size_t sectorEnd = (write.at + at) / kSector * kSector + kSector - write.at;
      const std::size_t end = std::min(write.octets.size(), sectorEnd);
      if (random_.chance(50)) apply(octets, {.at = write.at + at, .octets = write.octets.substr(at, end - at)});
      at = end;
    }
  }
  return octets;
}

void SimDisk::restart() {
  Folder after = synced_;
  for (const auto& [name, content] : now_) {
    if (!after.contains(name) && random_.chance(50)) after.emplace(name, content);
  }
  for (const auto& [name, content] : synced_) {
    if (!now_.contains(name) && random_.chance(50)) after.erase(name);
  }
  for (auto& [name, content] : after) {
    const std::string octets = survivor(*content);
    content = std::make_shared<Content>(Content{.now = octets, .synced = octets});
  }
  now_ = after;
  synced_ = std::move(after);
  lost_ = false;
  left_ = 0;
}

}  // namespace tidegate::durable_streams::testing
