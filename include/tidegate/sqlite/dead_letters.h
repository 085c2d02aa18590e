/// Changes that a sink refused, in a SQLite file: they survive restarts, and wait to be replayed or purged.
///
///     PipelineSpec replica{…, .onFailure = FailurePolicy::deadLetter,
///                          .deadLetters = sqlite::deadLetters("/var/lib/app/dead_letters.db")};
#pragma once

#include <memory>
#include <string>

#include "tidegate/sink/dead_letters.h"

namespace tidegate::sqlite {

/// Opens or makes the file. Each letter is a transaction of its own, on disk when `add` returns. Several pipelines and
/// processes may share the file. Give each kind of store a file of its own.
/// @throws Error{storeUnavailable, storeCorrupt}; Error{invalidConfig} if the file is a database of something else.
/// @thread Any.
std::shared_ptr<DeadLetters> deadLetters(const std::string& path);

}  // namespace tidegate::sqlite
