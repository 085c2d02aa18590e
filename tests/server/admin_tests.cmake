# Tests of src/server/admin_sources.cmake.
if(TIDEGATE_SQLITE)
  find_package(SQLite3 REQUIRED)
  tidegate_test(server_admin_tests SOURCES engine_api_test.cpp jobs_api_test.cpp openapi_test.cpp whole_api_test.cpp
                LIBS tidegate::server tidegate::sqlite SQLite::SQLite3 OpenSSL::Crypto LABELS server)
endif()
