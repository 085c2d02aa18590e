/// The sources and sinks that the configuration's engines name.
#pragma once

#include <memory>
#include <string>

#include "config.h"
#include "tidegate/engine/engine.h"

/// @param data the folder for what a polled source remembers.
tidegate::EngineOptions engineOptions(const EngineConfig& engine, const std::string& data,
                                      std::shared_ptr<tidegate::Sink> sink,
                                      std::shared_ptr<tidegate::DeadLetters> letters);
/// Where rows that its target refuses are put aside; null: nowhere, and it is isolated.
std::shared_ptr<tidegate::DeadLetters> lettersOf(const EngineConfig& engine, const std::string& data);
/// Where the engine writes to, where it names that.
std::shared_ptr<tidegate::Sink> sinkOf(const EngineConfig::Place& into);
