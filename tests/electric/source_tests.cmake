tidegate_test(electric_source_contract SOURCES source_server.cpp source_contract_test.cpp
              LIBS tidegate::electric LABELS electric)
if(TARGET tidegate_sqlite)
  find_package(SQLite3 REQUIRED)
  tidegate_test(electric_source_engine SOURCES source_server.cpp source_engine_test.cpp
                LIBS tidegate::electric tidegate::sqlite SQLite::SQLite3 LABELS electric)
endif()
