/// A run that ends by itself: rows by SQL until they are in the stream, messages by HTTP until they are in the table.
#pragma once

#include <string>

#include "settings.h"

/// @return whether both sides ended the same, each thing once.
bool runDemo(const SyncSettings& settings, const std::string& streamUrl);
