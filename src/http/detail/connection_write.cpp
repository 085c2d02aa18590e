#include <algorithm>
#include <array>

#include "http/detail/connection.h"

namespace tidegate::http::detail {
namespace {

constexpr std::size_t kEncryptAhead = 128u << 10;  ///< TLS records made before the kernel takes them

}  // namespace

/// Writes until nothing is left or the kernel takes no more. Gathered: an answer's head and body are one call.
void Connection::flush() {
  if (closed_ || writing_) return;
  const bool had = pendingOctets() > 0;
  while (!closed_) {
    if (tls_ && !encrypt()) return gone();
    OutBuffer& wire = tls_ ? wire_ : out_;
    if (wire.empty() || !writeSome(wire)) break;
  }
  if (closed_ || !current_ || !streaming_) return;
  current_->holds(pendingOctets());
  if (had && pendingOctets() == 0) runForExchange(current_->drained());
}

bool Connection::encrypt() {
  std::array<std::string_view, OutBuffer::kGather> views;
  while (!out_.empty() && wire_.size() < kEncryptAhead) {
    out_.views(views);
    const std::size_t taken = tls_->write(views[0]);
    if (taken == 0) return false;
    out_.consume(taken);
    wire_.grew(tls_->takeOutput(wire_.tail()));
  }
  wire_.grew(tls_->takeOutput(wire_.tail()));
  return true;
}

/// @return whether the kernel took something, so that more may be tried.
bool Connection::writeSome(OutBuffer& wire) {
  std::array<std::string_view, OutBuffer::kGather> views;
  const std::size_t count = wire.views(views);
  std::array<asio::const_buffer, OutBuffer::kGather> buffers;
  std::transform(views.begin(), views.begin() + static_cast<std::ptrdiff_t>(count), buffers.begin(),
                 [](std::string_view view) { return asio::const_buffer(view.data(), view.size()); });
  boost::system::error_code error;
  const std::size_t octets = socket_.write_some(buffers, error);
  if (!error) {
    written(octets);
    wire.consume(octets);
    return true;
  }
  if (error != asio::error::would_block && error != asio::error::try_again) {
    gone();
    return false;
  }
  writing_ = true;
  socket_.async_wait(Tcp::socket::wait_write, [self = shared_from_this()](const boost::system::error_code& failed) {
    self->writing_ = false;
    if (self->closed_) return;
    if (failed) return self->gone();
    self->process();
  });
  return false;
}

void Connection::written(std::size_t octets) {
  progressed_ = true;
  Counters::add<std::uint64_t>(loop_.counters().bytesOut, octets);
}

}  // namespace tidegate::http::detail
