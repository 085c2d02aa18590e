set(sink_sources
  detail/pending_rows.cpp
  detail/value_text.cpp
  memory_dead_letters.cpp
  sink.cpp
)
