list(APPEND durable_streams_sources
     # the client
     base64_decode.cpp client_failure.cpp client_request.cpp client_session.cpp durable_stream.cpp json_messages.cpp
     producer_core.cpp producer_impl.cpp read_session.cpp reader_impl.cpp retry_plan.cpp)
