/// SQLite's result codes as Tidegate errors: the one place where the driver decides what a failure means.
#pragma once

#include <sqlite3.h>

#include <string>
#include <string_view>

#include "tidegate/core/error.h"

namespace tidegate::sqlite::detail {

/// What a failed statement on a *source* database means for its caller.
/// @param code an extended result code.
/// @param message SQLite's own text.
Error queryError(int code, std::string_view message, const std::string& path);

/// What a failed statement on one of Tidegate's *own* files means: storeUnavailable or storeCorrupt.
/// @param what names the file's role, e.g. "gateway store".
Error storeError(int code, std::string_view message, std::string_view what, const std::string& path);

/// Whether the connection must be opened anew before anything else is asked.
bool breaksConnection(int code) noexcept;

/// Why a file cannot be opened, as far as the file system tells: it is missing, a directory, or not ours to read.
Error openError(int code, std::string_view message, const std::string& path, bool readOnly);

}  // namespace tidegate::sqlite::detail
