#include "durable_streams/detail/store_core.h"

namespace tidegate::durable_streams {

namespace {

class MemoryStreamStore final : public StreamStore {
 public:
  explicit MemoryStreamStore(const MemoryStoreOptions& options)
      : core_({.clock = options.clock, .limits = options.limits}, nullptr) {}

  void create(std::string_view path, CreateStream request, StreamDone done) override {
    core_.create(path, std::move(request), std::move(done));
  }
  void append(std::string_view path, AppendToStream request, StreamDone done) override {
    core_.append(path, std::move(request), std::move(done));
  }
  void remove(std::string_view path, StreamDone done) override { core_.remove(path, std::move(done)); }
  StreamRead head(std::string_view path) override { return core_.head(path); }
  StreamRead read(std::string_view path, Position from, std::size_t maxBytes) override {
    return core_.read(path, from, maxBytes);
  }
  std::uint64_t watch(std::string_view path, StreamWatch watch) override { return core_.watch(path, std::move(watch)); }
  void unwatch(std::uint64_t id) override { core_.unwatch(id); }
  std::vector<std::string> paths() override { return core_.paths(); }
  std::size_t size() override { return core_.size(); }
  void putNote(std::string_view key, std::string_view value, StreamDone done) override {
    core_.putNote(key, value, std::move(done));
  }
  std::vector<std::pair<std::string, std::string>> notes() override { return core_.notes(); }
  std::size_t sweep() override { return core_.sweep(); }

 private:
  detail::StoreCore core_;
};

}  // namespace

std::shared_ptr<StreamStore> memoryStreamStore(MemoryStoreOptions options) {
  return std::make_shared<MemoryStreamStore>(options);
}

}  // namespace tidegate::durable_streams
