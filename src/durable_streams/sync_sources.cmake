list(APPEND durable_streams_sources
     # the State Protocol and the sink
     entity_view.cpp http_log.cpp out_streams.cpp sink.cpp sink_journal.cpp state_protocol.cpp state_values.cpp
     store_log.cpp table_writer.cpp)
