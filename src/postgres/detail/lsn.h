/// Places in Postgres's write-ahead log.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::postgres::detail {

/// An octet's number in the log; 0 is no place.
using Lsn = std::uint64_t;

/// "16/B374D848".
std::string lsnToText(Lsn lsn);
/// nullopt for anything that is not exactly that form, of up to 8 hexadecimal digits on each side.
std::optional<Lsn> lsnFromText(std::string_view text);

/// The places where a server's log left that of its predecessors, from the text of a timeline's history.
std::vector<Lsn> partingsIn(std::string_view history);

}  // namespace tidegate::postgres::detail
