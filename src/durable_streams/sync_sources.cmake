list(APPEND durable_streams_sources
     # the State Protocol and the sink
     entity_view.cpp http_log.cpp out_streams.cpp sink.cpp sink_journal.cpp state_protocol.cpp state_values.cpp
     store_log.cpp table_writer.cpp
     # the source
     message_mapper.cpp source.cpp source_core.cpp stream_delivery.cpp stream_place.cpp stream_tables.cpp)
