/// Snapshots in S3: which objects they are made of, and their rows.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "kinesis/detail/manifest.h"
#include "kinesis/detail/object_store.h"
#include "kinesis/detail/record_mapper.h"

namespace tidegate::kinesis::detail {

/// What of a source's options says where snapshots are.
struct SnapshotOptions {
  std::string prefix{};
  std::string manifest{};
  std::vector<TableSchema> tables{};
  std::size_t maxLineBytes = 0;
};

/// The tables there are.
struct Catalogue {
  Manifest manifest{};
  Shapes shapes{};
  bool hasManifest = false;
};

/// The objects of one table, pinned.
struct TableObjects {
  Shape shape{};
  std::vector<ObjectHead> parts{};
  ObjectVersion version() const;
};

class Snapshots {
 public:
  Snapshots(ObjectStore& store, SnapshotOptions options) : store_(store), options_(std::move(options)) {}

  /// Reads the manifest, where there is one. Shapes that did not change are those of `before`.
  Catalogue catalogue(http::Client& client, const std::stop_token& stop, const Shapes& before);
  /// @throws Error{tableNotFound} naming the objects that are missing.
  TableObjects find(http::Client& client, const Catalogue& catalogue, const std::string& table,
                    const std::stop_token& stop);

  struct Reading {
    /// A batch that has `read` events of the table is full, or the table ends. @return false: stopped.
    std::function<bool(ChangeBatch& batch)> offer;
    ObjectStore::OnBroken onBroken;
    Position position{};
    std::size_t batchEvents = 1'000;
  };
  /// Offers all rows. @return false: stopped. @throws Error{parseError} naming object and line.
  bool read(http::Client& client, const TableObjects& table, const Reading& reading, const std::stop_token& stop);

  std::string missingTable(const std::string& table) const;

 private:
  struct Filling {
    ChangeBatch batch{};
    std::size_t octets = 0;  ///< of the lines in it
  };
  bool readPart(http::Client& client, const TableObjects& table, const ObjectHead& part, const Reading& reading,
                Filling& filling, const std::stop_token& stop);

  ObjectStore& store_;
  const SnapshotOptions options_;
};

/// Cuts lines out of pieces.
class LineCutter {
 public:
  /// @return false: enough.
  using OnLine = std::function<bool(std::string_view line)>;
  explicit LineCutter(std::size_t maxLineBytes) : maxLineBytes_(maxLineBytes) {}
  /// @throws Error{parseError} for a line that is too long.
  bool push(std::string_view piece, const OnLine& onLine);
  /// What stands after the last line's end.
  bool finish(const OnLine& onLine);

 private:
  const std::size_t maxLineBytes_;
  std::string held_;
};

}  // namespace tidegate::kinesis::detail
