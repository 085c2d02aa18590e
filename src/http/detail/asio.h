/// The parts of Asio that the server uses. <utility> comes first: Asio 1.18 forgets it.
#pragma once

#include <utility>

#define BOOST_ASIO_NO_DEPRECATED
#ifdef __SANITIZE_THREAD__  // it knows no fences; each io_context is run by one thread, and its queue has a lock
#define BOOST_ASIO_DISABLE_FENCED_BLOCK
#endif
#define BOOST_ASIO_DISABLE_BOOST_DATE_TIME
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

namespace tidegate::http::detail {

namespace asio = boost::asio;
using Tcp = asio::ip::tcp;
using SteadyTime = std::chrono::steady_clock::time_point;

}  // namespace tidegate::http::detail
