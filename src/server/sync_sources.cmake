set(server_sync_sources followers.cpp proto_wire.cpp sync_admin.cpp sync_api.cpp sync_checkpoint.cpp sync_core.cpp sync_errors.cpp sync_events.cpp
                        sync_proto.cpp sync_pull.cpp sync_push.cpp sync_schema.cpp sync_schemas.cpp sync_socket.cpp sync_websocket.cpp)
