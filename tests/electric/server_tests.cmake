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

tidegate_test(electric_shape_test
              SOURCES shape_hub_test.cpp shape_property_test.cpp shape_sink_contract_test.cpp
              LIBS tidegate::electric LABELS electric)
tidegate_test(electric_server_test
              SOURCES gateway_feed_test.cpp shape_server_test.cpp
              LIBS tidegate::electric tidegate::http LABELS electric)
