/// What a commit to a SQLite file survives.
#pragma once

namespace tidegate::sqlite {

enum class Synchronous {
  full,   ///< one fsync a commit: what was acknowledged survives a power cut
  normal  ///< no fsync a commit: it survives the process's death, and after a power cut the newest may be gone
};

}  // namespace tidegate::sqlite
