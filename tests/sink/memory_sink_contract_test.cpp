#include "contract/sink_contract.h"
#include "tidegate/sink/memory_sink.h"

namespace tidegate::contract {

/// The sink is its own target: a crash of the pipeline leaves it, and what it shows.
class MemoryTarget final : public SinkTarget {
 public:
  std::shared_ptr<Sink> sink() override { return sink_; }
  std::vector<Values> rows(const Shape& shape) override {
    std::vector<Values> found;
    const MemoryView view = sink_->view();
    view.scan(shape->schema.table, [&](const Row& row) {
      Values& out = found.emplace_back();
      for (const std::string& name : shape->columns->names()) {
        const Value* value = row.find(name);
        out.push_back(value != nullptr ? *value : Value());
      }
      return true;
    });
    return found;
  }

 private:
  std::shared_ptr<MemorySink> sink_ = std::make_shared<MemorySink>(
      MemorySinkOptions{.indexes = {{"users", "name", false}, {"users", "score", true}, {"first", "number", true}}});
};

const SinkCase kMemory{.name = "memory",
                       .make = [] { return std::make_unique<MemoryTarget>(); },
                       .can = {.fences = false, .severalPipelines = false, .typed = false, .seeds = 1'000}};
TIDEGATE_SINK_CONTRACT(Memory, kMemory);

}  // namespace tidegate::contract
