# Install rules. One install component and one export set per library, so that each can be packaged and found alone.
include(CMakePackageConfigHelpers)
set(tidegate_config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/tidegate)

# tidegate_install(<component> <target> <header folder>...)
function(tidegate_install component target)
  install(TARGETS ${target} EXPORT tidegate-${component}-targets
          ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT ${component}
          LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT ${component}
          RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT ${component})
  install(EXPORT tidegate-${component}-targets NAMESPACE tidegate:: DESTINATION ${tidegate_config_dir}
          COMPONENT ${component})
  install(FILES ${PROJECT_SOURCE_DIR}/cmake/dependencies/${component}.cmake
          DESTINATION ${tidegate_config_dir}/dependencies COMPONENT ${component})
  foreach(folder ${ARGN})
    install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/tidegate/${folder}
            DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/tidegate COMPONENT ${component})
  endforeach()
endfunction()

tidegate_install(core tidegate core gateway source sink engine jobs)
# Of several drivers.
install(FILES ${PROJECT_SOURCE_DIR}/cmake/dependencies/zstd.cmake
        DESTINATION ${tidegate_config_dir}/dependencies COMPONENT core)
foreach(driver sqlite postgres mysql nats http durable_streams electric kinesis server)
  if(TARGET tidegate_${driver})
    tidegate_install(${driver} tidegate_${driver} ${driver})
  endif()
endforeach()

# The parameterised suites that every implementation of an interface must pass, a user's own included.
add_library(tidegate_contract INTERFACE)
add_library(tidegate::contract ALIAS tidegate_contract)
set_target_properties(tidegate_contract PROPERTIES EXPORT_NAME contract)
target_link_libraries(tidegate_contract INTERFACE tidegate GTest::gtest)
target_include_directories(tidegate_contract INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/tests>
                           $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/tidegate/testing>)
tidegate_install(contract tidegate_contract)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/tests/contract DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/tidegate/testing
        COMPONENT contract FILES_MATCHING PATTERN "*.h")
install(FILES ${PROJECT_SOURCE_DIR}/tests/support/property.h ${PROJECT_SOURCE_DIR}/tests/support/sanitized.h
              ${PROJECT_SOURCE_DIR}/tests/support/manual_clock.h
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/tidegate/testing/support COMPONENT contract)

configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/tidegateConfig.cmake.in
                              ${PROJECT_BINARY_DIR}/tidegateConfig.cmake INSTALL_DESTINATION ${tidegate_config_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/tidegateConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/tidegateConfig.cmake ${PROJECT_BINARY_DIR}/tidegateConfigVersion.cmake
        DESTINATION ${tidegate_config_dir} COMPONENT core)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT core)
