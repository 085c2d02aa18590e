tidegate_test(durable_streams_client_test
              SOURCES json_messages_test.cpp producer_core_test.cpp producer_laws_test.cpp read_session_test.cpp
                      model_streams.cpp
              LIBS tidegate::durable_streams LABELS durable_streams)
tidegate_test(durable_streams_client_http_test
              SOURCES client_server_test.cpp client_test.cpp faulty_server.cpp model_streams.cpp producer_test.cpp reader_test.cpp ../support/tcp_proxy.cpp
              LIBS tidegate::durable_streams LABELS durable_streams)
