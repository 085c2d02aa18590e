tidegate_test(server_sync_tests SOURCES blocking_pool_test.cpp identity_end_test.cpp sync_checkpoint_test.cpp sync_follow_test.cpp sync_http_test.cpp sync_proto_test.cpp sync_secrets_test.cpp
              LIBS tidegate::server)
tidegate_test(server_sync_property_tests SOURCES sync_property_test.cpp LIBS tidegate::server)
