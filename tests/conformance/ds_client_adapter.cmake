# The durable streams client behind the line protocol of the client conformance suite (suites/ds_client.sh).
add_library(ds_client_adapter_commands OBJECT ds_client_adapter/adapter.cpp ds_client_adapter/failures.cpp
            ds_client_adapter/measuring.cpp ds_client_adapter/streaming.cpp)
target_include_directories(ds_client_adapter_commands PUBLIC ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/tests)
target_link_libraries(ds_client_adapter_commands PUBLIC tidegate::durable_streams nlohmann_json::nlohmann_json
                      PRIVATE tidegate_warnings)
add_executable(ds_client_adapter ds_client_adapter/main.cpp)
target_link_libraries(ds_client_adapter PRIVATE ds_client_adapter_commands tidegate_warnings)
