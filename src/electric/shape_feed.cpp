#include "tidegate/electric/shape_feed.h"

#include "electric/detail/feed_impl.h"

namespace tidegate::electric {

ShapeFeed::ShapeFeed(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
ShapeFeed::~ShapeFeed() = default;

std::vector<TableSchema> ShapeFeed::tables() const { return impl_->hub.tables(); }
ShapeFeedStats ShapeFeed::stats() const { return impl_->hub.stats(); }
std::size_t ShapeFeed::rotate(std::string_view table) { return impl_->hub.rotate(table, {}); }

}  // namespace tidegate::electric
