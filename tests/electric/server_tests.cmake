tidegate_test(electric_where_test
              SOURCES like_pattern_test.cpp pg_text_test.cpp where_model.cpp where_property_test.cpp where_test.cpp
              LIBS tidegate::electric LABELS electric)

if(TARGET tidegate_postgres)
  include(dependencies/postgres)
  tidegate_test(electric_where_server_test
                SOURCES where_model.cpp where_server_test.cpp
                LIBS tidegate::electric PostgreSQL::PostgreSQL
                LABELS servers
                LOCK servers)
endif()
