/// SHA-256 of many short texts at once.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace tidegate::detail {

using Sha256 = std::array<std::uint8_t, 32>;

/// The digest of each text. Where the processor has SHA instructions two texts are hashed beside each other: one alone
/// waits half its time for itself. Elsewhere OpenSSL does it, one after the other.
/// @pre as many `digests` as `texts`. @throws Error{internal} only if OpenSSL fails.
void sha256Each(std::span<const std::string_view> texts, Sha256* digests);

/// Whether the processor has what `sha256Pairs` uses.
bool hasShaInstructions() noexcept;
/// `sha256Each` by the processor's instructions. @pre `hasShaInstructions()`.
void sha256Pairs(std::span<const std::string_view> texts, Sha256* digests) noexcept;

}  // namespace tidegate::detail
