// POSTs of 200 bytes through http::Server, beside the smallest loop that Beast allows for the same answers.
#include "http/detail/asio.h"
// Beast, behind Asio with the server's settings.
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "bench/harness.h"
#include "tidegate/http/server.h"

namespace tidegate::bench {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using Tcp = asio::ip::tcp;

const std::string kPost =
    "POST /v1/stream/bench HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    "Content-Length: 200\r\n\r\n" +
    std::string(200, 'x');

/// One connection of Beast's: read, answer 204, read.
class BeastSession : public std::enable_shared_from_this<BeastSession> {
 public:
  explicit BeastSession(Tcp::socket socket) : stream_(std::move(socket)) {
    stream_.socket().set_option(Tcp::no_delay(true));
  }
  void read() {
    request_ = {};
    beast::http::async_read(stream_, buffer_, request_,
                            [self = shared_from_this()](beast::error_code error, std::size_t) {
                              if (!error) self->answer();
                            });
  }

 private:
  void answer() {
    answer_ = {beast::http::status::no_content, 11};
    answer_.set(beast::http::field::server, "beast");
    answer_.keep_alive(true);
    beast::http::async_write(stream_, answer_, [self = shared_from_this()](beast::error_code error, std::size_t) {
      if (!error) self->read();
    });
  }

  beast::tcp_stream stream_;
  beast::flat_buffer buffer_{};
  beast::http::request<beast::http::string_body> request_{};
  beast::http::response<beast::http::empty_body> answer_{};
};

class BeastServer {
 public:
  BeastServer() : acceptor_(io_, {asio::ip::address_v4::loopback(), 0}) {
    accept();
    thread_ = std::jthread([this] { io_.run(); });
  }
  ~BeastServer() { io_.stop(); }
  std::uint16_t port() const { return acceptor_.local_endpoint().port(); }

 private:
  void accept() {
    acceptor_.async_accept([this](beast::error_code error, Tcp::socket socket) {
      if (error) return;
      std::make_shared<BeastSession>(std::move(socket))->read();
      accept();
    });
  }

  asio::io_context io_{1};
  Tcp::acceptor acceptor_;
  std::jthread thread_{};
};

int connectTo(std::uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) throw std::runtime_error("cannot connect");
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

/// Posts on `connections` connections at once, one request of each on its way. @return seconds.
double post(std::uint16_t port, int connections, int requests) {
  const int poller = epoll_create1(EPOLL_CLOEXEC);
  std::vector<int> fds;
  for (int i = 0; i < connections; ++i) {
    fds.push_back(connectTo(port));
    epoll_event event{.events = EPOLLIN, .data = {.fd = fds.back()}};
    epoll_ctl(poller, EPOLL_CTL_ADD, fds.back(), &event);
  }
  const auto send = [](int fd) {
    if (::send(fd, kPost.data(), kPost.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(kPost.size())) {
      throw std::runtime_error("the server went away");
    }
  };
  const double seconds = secondsOf([&] {
    int begun = 0;
    int done = 0;
    for (; begun < connections; ++begun) send(fds[static_cast<std::size_t>(begun)]);
    std::array<epoll_event, 64> events;
    std::array<char, 4096> answer;
    while (done < requests) {
      const int ready = epoll_wait(poller, events.data(), static_cast<int>(events.size()), -1);
      for (int i = 0; i < ready; ++i) {
        const int fd = events[static_cast<std::size_t>(i)].data.fd;
        if (recv(fd, answer.data(), answer.size(), 0) <= 0) throw std::runtime_error("the server went away");
        ++done;
        if (begun++ < requests) send(fd);
      }
    }
  });
  for (const int fd : fds) close(fd);
  close(poller);
  return seconds;
}

/// Answers from a thread of its own, in bursts: as a group commit does.
class Committer {
 public:
  void add(http::Responder answer) {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(answer));
    if (waiting_.size() == 1) wake_.notify_one();
  }

 private:
  void run(const std::stop_token& stop) {
    std::vector<http::Responder> burst;
    while (true) {
      {
        std::unique_lock lock(mutex_);
        if (!wake_.wait(lock, stop, [this] { return !waiting_.empty(); })) return;
        burst.swap(waiting_);
      }
      for (http::Responder& answer : burst) answer.send({.status = 204});
      burst.clear();
    }
  }

  std::mutex mutex_{};
  std::condition_variable_any wake_{};
  std::vector<http::Responder> waiting_{};
  std::jthread thread_{[this](const std::stop_token& stop) { run(stop); }};
};

void compare(const std::string& name, std::uint16_t ours, std::uint16_t limit, int connections) {
  const int requests = connections == 1 ? 20'000 : 60'000;
  const Pair pair = measurePair(
      5, [&] { return post(ours, connections, requests); }, [&] { return post(limit, connections, requests); });
  report({.name = name,
          .value = requests / pair.ours,
          .unit = "requests/s",
          .limit = requests / pair.limit,
          .better = Better::higher,
          .bar = 0.95});
}

void httpPost() {
  http::Server ours({}, [](http::Request&&, http::Responder answer) { answer.send({.status = 204}); });
  ours.start();
  BeastServer limit;
  compare("http_post_1", ours.port(), limit.port(), 1);
  compare("http_post_32", ours.port(), limit.port(), 32);

  Committer committer;
  http::Server later({}, [&](http::Request&&, http::Responder answer) { committer.add(std::move(answer)); });
  later.start();
  constexpr int kRequests = 60'000;
  reportFigure("http_post_32_other_thread", kRequests / post(later.port(), 32, kRequests), "requests/s");
}

const Registration kHttpPost("http_post", "200-byte POSTs on 1 and 32 connections, beside a bare Beast loop", httpPost);

}  // namespace
}  // namespace tidegate::bench
