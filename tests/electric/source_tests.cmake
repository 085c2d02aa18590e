tidegate_test(electric_source_contract SOURCES source_server.cpp source_contract_test.cpp
              LIBS tidegate::electric LABELS electric)
