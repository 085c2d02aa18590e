if(TARGET tidegate_electric)
  add_executable(shape_server shape_server_main.cpp shape_table.cpp)
  target_include_directories(shape_server PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(shape_server PRIVATE tidegate::electric nlohmann_json::nlohmann_json fmt::fmt spdlog::spdlog
                        tidegate_warnings)
  tidegate_unrun(shape_server)
endif()
