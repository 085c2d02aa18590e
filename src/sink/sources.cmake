set(sink_sources
  memory_dead_letters.cpp
  sink.cpp
)
