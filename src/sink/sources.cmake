set(sink_sources
  sink.cpp
)
