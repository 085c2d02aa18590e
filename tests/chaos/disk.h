/// A disk that can be filled: a small file system of its own where the process may mount one, else a file size limit.
#pragma once

#include <sys/types.h>

#include <string>

namespace tidegate::chaos {

/// @thread One.
class Disk {
 public:
  /// @param folder where the sink's files are. @param ownFileSystem whether it is one that filling hurts nobody else.
  Disk(std::string folder, bool ownFileSystem) : folder_(std::move(folder)), own_(ownFileSystem) {}
  /// No more octets fit, for the process `writer` at least.
  void fill(pid_t writer);
  void free(pid_t writer);
  std::string describe() const { return own_ ? "a file system of 256 MiB" : "a limit on file sizes"; }

 private:
  const std::string folder_;
  const bool own_;
};

}  // namespace tidegate::chaos
