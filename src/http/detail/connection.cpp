#include "http/detail/connection.h"

namespace tidegate::http::detail {
namespace {

constexpr std::size_t kOutHigh = 256u << 10;  ///< queued answers from which no further request is served
constexpr std::size_t kInMost = 64u << 10;
constexpr std::chrono::seconds kLinger{2};

}  // namespace

Connection::Connection(Loop& loop, Tcp::socket socket, std::shared_ptr<SSL_CTX> tls, AddressPlaces::Place place)
    : loop_(loop),
      server_(loop.server()),
      place_(std::move(place)),
      socket_(std::move(socket)),
      reader_(server_.options.limits),
      input_(std::max(kInMost, server_.options.limits.headerBytes + InBuffer::kFirst)) {
  if (tls) {
    tls_ = std::make_unique<TlsSession>(*tls);
    cipher_ = std::make_unique<InBuffer>(kInMost);
  }
}

void Connection::start() {
  boost::system::error_code error;
  const auto remote = socket_.remote_endpoint(error);
  if (!error) remote_ = remote.address().to_string();
  socket_.set_option(Tcp::no_delay(true), error);
  socket_.non_blocking(true, error);
  if (error) {
    close();
    return;
  }
  settle();
}

void Connection::armRead() {
  if (reading_ || closed_ || eof_) return;
  const bool mayGrow = takesOctets() && !closing_;
  if (closing_ && !linger_) return;
  if (!closing_ && !input_.hasRoom(mayGrow)) return;
  if (closing_) input_.consume(input_.view().size());
  const auto [to, size] = tls_ ? cipher_->room(mayGrow) : input_.room(mayGrow);
  if (size == 0) return;
  reading_ = true;
  socket_.async_read_some(asio::buffer(to, size),
                          [self = shared_from_this()](const boost::system::error_code& error, std::size_t octets) {
                            self->reading_ = false;
                            self->onRead(error, octets);
                          });
}

void Connection::onRead(const boost::system::error_code& error, std::size_t octets) {
  if (closed_) return;
  if (error && error != asio::error::eof) return gone();
  if (closing_) {
    if (error) return close();
    return armRead();
  }
  if (error) {
    eof_ = true;
  } else {
    progressed_ = true;
    Counters::add<std::uint64_t>(loop_.counters().bytesIn, octets);
    if (tls_) {
      cipher_->commit(octets);
      const bool fed = tls_->feed(cipher_->view());
      cipher_->consume(octets);
      if (!fed || !pull()) {
        flush();  // what TLS says of its failure
        return gone();
      }
    } else {
      input_.commit(octets);
    }
  }
  process();
}

/// Decrypts into the input. @return false where TLS failed.
bool Connection::pull() {
  while (true) {
    auto [to, size] = input_.room(takesOctets());
    if (size == 0) return true;
    switch (tls_->read(to, size)) {
      case TlsSession::Read::data:
        input_.commit(size);
        break;
      case TlsSession::Read::more:
        return true;
      case TlsSession::Read::closed:
        eof_ = true;
        return true;
      case TlsSession::Read::failed:
        return false;
    }
  }
}

/// Serves what was read, until a request is in work or there is no whole one.
void Connection::process() {
  if (processing_) return;
  processing_ = true;
  while (!closed_ && takesOctets() && !closing_ && pendingOctets() < kOutHigh) {
    if (tls_ && !eof_ && !pull()) {
      processing_ = false;
      return gone();
    }
    if (input_.empty()) break;
    if (upgraded_) {
      if (!feedUpgraded()) break;
      continue;
    }
    const std::size_t used = reader_.feed(input_.view());
    input_.consume(used);
    if (reader_.takeContinue()) out_.append(std::string_view("HTTP/1.1 100 Continue\r\n\r\n"));
    if (reader_.state() == RequestReader::State::done) {
      serve();
    } else if (reader_.state() == RequestReader::State::refused) {
      refuse(reader_.refusalStatus(), reader_.refusal());
    } else if (used == 0) {
      break;
    }
  }
  processing_ = false;
  if (!closed_) settle();
}

/// What follows every event: write what there is, then wait for what comes next.
void Connection::settle() {
  flush();
  if (closed_) return;
  if (eof_) onEof();
  if (closed_) return;
  if (closing_ && pendingOctets() == 0) closeWhenWritten();
  if (closed_) return;
  // Not while a read is under way: it writes into this memory.
  if (!reading_ && input_.empty()) input_.rest();
  updateDeadline();
  armRead();
}

/// The peer sends nothing more. It may still read, unless somebody said that this is what "gone" means.
void Connection::onEof() {
  if (current_) {
    if (current_->watched()) gone();
  } else if (pendingOctets() == 0) {
    close();
  } else {
    closing_ = true;
  }
}

void Connection::updateDeadline() {
  const Limits& limits = server_.options.limits;
  Wait wait = Wait::nothing;
  std::chrono::milliseconds time{0};
  if (closing_ && pendingOctets() == 0) {
    wait = Wait::linger, time = kLinger;
  } else if (tls_ && !tls_->ready()) {
    wait = Wait::head, time = limits.headerTimeout;
  } else if (pendingOctets() > 0) {
    wait = Wait::write, time = limits.writeTimeout;
  } else if (!current_ && reader_.state() == RequestReader::State::body) {
    wait = Wait::body, time = limits.bodyTimeout;
  } else if (!current_ && (reader_.state() == RequestReader::State::head || !input_.empty())) {
    wait = Wait::head, time = limits.headerTimeout;
  } else if (!current_) {
    wait = Wait::request, time = limits.idleTimeout;
  }
  // The time for a head, and for lingering, is not prolonged by octets that trickle in.
  const bool prolonged = progressed_ && wait != Wait::head && wait != Wait::linger;
  progressed_ = false;
  if (wait == wait_ && !prolonged) return;
  wait_ = wait;
  deadline_ = wait == Wait::nothing ? SteadyTime::max() : std::chrono::steady_clock::now() + time;
}

void Connection::expire() {
  if (closed_) return;
  if (tls_ && !tls_->ready()) return close();  // nothing could be said that would be understood
  switch (wait_) {
    case Wait::head:
      refuse(408, "the request's head took too long");
      return settle();
    case Wait::body:
      refuse(408, "the request's body stopped coming");
      return settle();
    case Wait::request:
    case Wait::linger:
      return close();
    case Wait::write:
      return gone();
    case Wait::nothing:
      return;
  }
}

void Connection::drain() {
  if (closed_ || closing_) return;
  if (current_) {
    keepAlive_ = false;
    if (upgraded_) upgraded_->onDrain();
    if (streaming_ && events_) current_->end();
  } else if (reader_.state() == RequestReader::State::idle && input_.empty() && pendingOctets() == 0) {
    close();
  }
}

void Connection::cut() {
  if (closed_) return;
  // Who only waits for the peer's goodbye, or for a request that has not come, loses nothing.
  const bool idle = !current_ && pendingOctets() == 0 && (closing_ || reader_.state() == RequestReader::State::idle);
  const bool saidGoodbye = upgraded_ && upgraded_->closing();
  if (!idle && !saidGoodbye) server_.cutSomething = true;
  gone();
}

void Connection::closeWhenWritten() {
  if (linger_ && wait_ == Wait::linger) return;
  if (tls_) {
    tls_->closeNotify();
    flush();
    if (closed_) return;
  }
  if (!input_.empty()) linger_ = true;
  if (!linger_ || eof_) return close();
  boost::system::error_code ignored;
  socket_.shutdown(Tcp::socket::shutdown_send, ignored);
}

/// The peer cannot be reached any more, or is given up; who waits for it is told.
void Connection::gone(bool tell) {
  if (closed_) return;
  const auto keep = shared_from_this();
  const std::shared_ptr<Upgraded> upgraded = std::move(upgraded_);  // may be what calls this
  const std::shared_ptr<Exchange> exchange = std::move(current_);
  const Exchange::Callback told = exchange ? exchange->leave() : nullptr;
  close();
  if (!exchange) return;
  if (line_) logAccess();
  if (streaming_) Counters::add<std::size_t>(loop_.counters().streams, static_cast<std::size_t>(-1));
  if (tell) runGuarded(told);
}

void Connection::close() {
  if (closed_) return;
  closed_ = true;
  for (const auto timer : timers_) loop_.removeTimer(timer);
  timers_.clear();
  boost::system::error_code ignored;
  socket_.close(ignored);
  deadline_ = SteadyTime::max();
  place_.reset();
  loop_.remove(*this);
}

}  // namespace tidegate::http::detail
