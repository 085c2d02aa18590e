/// Streams in files: one log of segments for all of them, committed in groups.
///
///     auto store = durable_streams::fileStreamStore({.folder = "/var/lib/app/streams"});
///     DurableStreamServer server({.store = store});
///
/// A change is told as done once it is on stable storage. After a crash, whenever it came, everything that was told is
/// there. The layout is in docs/formats.md; why it is so, in docs/decisions/0014-one-log-for-all-streams.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "tidegate/durable_streams/file_system.h"
#include "tidegate/durable_streams/stream_store.h"

namespace tidegate::durable_streams {

struct FileStoreOptions {
  std::string folder{};                 ///< made where there is none; its parent must exist
  std::unique_ptr<FileSystem> files{};  ///< null: the system's, in `folder`
  const Clock* clock = nullptr;         ///< null: the system's
  StoreLimits limits{};
  std::size_t segmentBytes = 64u << 20;  ///< a segment is sealed past it
  std::size_t cacheBytes = 128u << 20;   ///< of stream content kept in memory
  std::size_t pendingBytes = 64u << 20;  ///< not yet committed; over it a change is refused with tooMany
  /// How long a commit waits for those who were answered by the one before to write again. Longer: larger groups.
  std::chrono::microseconds gather{300};
  double compactBelow = 0.5;  ///< a sealed segment with less than this part in use is rewritten and removed
  /// The store commits on a thread of its own. Without it nothing is committed but by `commit`.
  bool ownThread = true;
};

/// What opening found.
struct RecoveryReport {
  std::size_t segments = 0;
  std::size_t streams = 0;
  std::uint64_t commits = 0;
  std::uint64_t octets = 0;           ///< read and checked
  std::uint64_t truncatedOctets = 0;  ///< of a last commit that was not whole; it had not been told as done
  std::string truncatedFile{};        ///< where; empty: nowhere
};

/// @thread Any, as StreamStore.
class FileStreamStore : public StreamStore {
 public:
  virtual const RecoveryReport& recovery() const = 0;
  /// Writes and syncs what is pending, then tells. @return whether there was something to do.
  /// @throws Error{storeUnavailable} where the disk refuses; from then on every change is refused until the store is
  /// opened again, and reads give what was durable.
  virtual bool commit() = 0;
  /// Rewrites the sealed segment with the least in use, if less than `compactBelow` of it is, and removes it. Also done
  /// by the store's own thread when it is idle. @return whether there was one.
  virtual bool compact() = 0;
  /// Octets of all segments, and those of them that are still needed.
  virtual std::pair<std::uint64_t, std::uint64_t> usage() = 0;
};

/// Opens or makes a store.
/// @throws Error{storeUnavailable} where the folder cannot be used or another process has it; Error{storeCorrupt}
/// naming
///         file and offset where synced octets are damaged: nothing is dropped silently; Error{invalidConfig} for a
///         format of a newer Tidegate or options that cannot work.
std::shared_ptr<FileStreamStore> fileStreamStore(FileStoreOptions options);

}  // namespace tidegate::durable_streams
