/// The two pipelines: items of Postgres into a stream, and a stream's messages into session_events.
#pragma once

#include <memory>
#include <string>

#include "settings.h"
#include "tidegate/engine/engine.h"

/// Makes the table `items` where there is none.
void prepareDatabase(const SyncSettings& settings);

/// @param streamUrl the base of all streams, e.g. "http://127.0.0.1:4437/v1/stream".
tidegate::EngineOptions makeBridge(const SyncSettings& settings, const std::string& streamUrl);
