#include "chaos/disk.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <vector>

namespace tidegate::chaos {

namespace {

void limitFileSize(pid_t process, rlim_t octets) {
  rlimit limit{};
  if (::prlimit(process, RLIMIT_FSIZE, nullptr, &limit) != 0) return;
  limit.rlim_cur = octets == RLIM_INFINITY ? limit.rlim_max : octets;
  ::prlimit(process, RLIMIT_FSIZE, &limit, nullptr);
}

}  // namespace

void Disk::fill(pid_t writer) {
  if (!own_) {
    limitFileSize(writer, 4096);
    return;
  }
  const int fd = ::open((folder_ + "/filler").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  const std::vector<char> block(std::size_t{64} << 10, 'x');
  while (fd >= 0 && ::write(fd, block.data(), block.size()) > 0) {
  }
  if (fd >= 0) ::close(fd);
}

void Disk::free(pid_t writer) {
  if (own_) {
    std::remove((folder_ + "/filler").c_str());
  } else {
    limitFileSize(writer, RLIM_INFINITY);
  }
}

}  // namespace tidegate::chaos
