#include "contract/sink_contract.h"
#include "tidegate/electric/shape_sink.h"

namespace tidegate::contract {
namespace {

/// The sink is its own target: a crash of the pipeline leaves it, and what it shows.
class ShapeTarget final : public SinkTarget {
 public:
  std::shared_ptr<Sink> sink() override { return sink_; }
  std::vector<Values> rows(const Shape& shape) override {
    std::vector<Values> found;
    const auto stream = sink_->readTable(shape, {});
    for (Values row; stream->next(row);) found.push_back(row);
    return found;
  }

 private:
  std::shared_ptr<electric::ShapeSink> sink_ = std::make_shared<electric::ShapeSink>();
};

}  // namespace

const SinkCase kShapes{.name = "shapes",
                       .make = [] { return std::make_unique<ShapeTarget>(); },
                       .can = {.fences = false, .severalPipelines = false, .typed = false, .seeds = 500}};
TIDEGATE_SINK_CONTRACT(Shapes, kShapes);

}  // namespace tidegate::contract
