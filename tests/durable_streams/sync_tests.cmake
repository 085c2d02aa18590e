tidegate_test(durable_streams_sync_test
              SOURCES state_protocol_test.cpp sink_contract_test.cpp stream_sink_test.cpp stream_sink_crash_test.cpp
              LIBS tidegate::durable_streams LABELS durable_streams)
tidegate_test(durable_streams_source_test
              SOURCES stream_source_contract_test.cpp ../support/tcp_proxy.cpp
              LIBS tidegate::durable_streams tidegate::http LABELS durable_streams)
if(TARGET tidegate_sqlite)
  find_package(SQLite3 REQUIRED)
  tidegate_test(durable_streams_engine_test
                SOURCES reference_mistakes_test.cpp ../support/tcp_proxy.cpp
                LIBS tidegate::durable_streams tidegate::http tidegate::sqlite SQLite::SQLite3 LABELS durable_streams)
endif()
