list(APPEND durable_streams_sources
     # the stores
     compactor.cpp content.cpp file_store.cpp journal.cpp json_body.cpp memory_store.cpp position.cpp record.cpp
     recovery.cpp store_append.cpp store_core.cpp store_create.cpp store_read.cpp stream.cpp system_files.cpp
     # the server
     event_stream.cpp live.cpp long_poll.cpp protocol.cpp server.cpp server_read.cpp server_write.cpp
     # subscriptions
     subscription.cpp subscription_api.cpp subscriptions.cpp webhook_delivery.cpp webhook_keys.cpp webhook_url.cpp)
