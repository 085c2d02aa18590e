# The durable streams client behind the line protocol of the client conformance suite (suites/ds_client.sh).
add_library(ds_client_adapter_commands OBJECT ds_client_adapter/adapter.cpp ds_client_adapter/failures.cpp
            ds_client_adapter/measuring.cpp ds_client_adapter/streaming.cpp)
target_include_directories(ds_client_adapter_commands PUBLIC ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/tests)
target_link_libraries(ds_client_adapter_commands PUBLIC tidegate::durable_streams nlohmann_json::nlohmann_json
                      PRIVATE tidegate_warnings)
add_executable(ds_client_adapter ds_client_adapter/main.cpp)
target_link_libraries(ds_client_adapter PRIVATE ds_client_adapter_commands tidegate_warnings)

# Our own table of scenarios, through the adapter's lines.
tidegate_test(ds_client_scenarios
              SOURCES ds_client_scenarios/adapter_process.cpp ds_client_scenarios/scenarios_test.cpp
                      ../durable_streams/faulty_server.cpp ../durable_streams/model_streams.cpp
              LIBS tidegate::durable_streams LABELS durable_streams)
target_compile_definitions(ds_client_scenarios PRIVATE
                           TIDEGATE_DS_CLIENT_ADAPTER="$<TARGET_FILE:ds_client_adapter>"
                           TIDEGATE_DS_SCENARIOS="${CMAKE_CURRENT_SOURCE_DIR}/ds_client_scenarios/table.json")
add_dependencies(ds_client_scenarios ds_client_adapter)
