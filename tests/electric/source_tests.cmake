tidegate_test(electric_source_tests SOURCES source_merge_test.cpp source_reader_failure_test.cpp source_reader_test.cpp
                                            source_server.cpp source_test.cpp source_values_test.cpp
              LIBS tidegate::electric LABELS electric)
target_compile_definitions(electric_source_tests PRIVATE TIDEGATE_TYPES_PAGE="${PROJECT_SOURCE_DIR}/docs/types.md")
tidegate_test(electric_source_contract SOURCES source_contract_test.cpp source_server.cpp source_shape_server_test.cpp
              LIBS tidegate::electric LABELS electric)
if(TARGET tidegate_sqlite)
  find_package(SQLite3 REQUIRED)
  tidegate_test(electric_source_engine SOURCES source_engine_test.cpp source_server.cpp
                LIBS tidegate::electric tidegate::sqlite SQLite::SQLite3 LABELS electric)
endif()
