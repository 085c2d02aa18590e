# What tidegate::mysql links: tidegate::mysqlcppconn, the MySQL Connector/C++ 1.1 (it ships neither a CMake nor a
# pkg-config file). As an imported target its headers are system headers: they do not compile without warnings. And for the
# binlog PkgConfig::MARIADB (the C API, which the Connector uses too), and zlib and zstd, which servers compress events
# with.
find_path(TIDEGATE_MYSQLCPPCONN_INCLUDE_DIR mysql_driver.h)
find_library(TIDEGATE_MYSQLCPPCONN_LIBRARY mysqlcppconn)
mark_as_advanced(TIDEGATE_MYSQLCPPCONN_INCLUDE_DIR TIDEGATE_MYSQLCPPCONN_LIBRARY)
if(NOT TIDEGATE_MYSQLCPPCONN_INCLUDE_DIR OR NOT TIDEGATE_MYSQLCPPCONN_LIBRARY)
  tidegate_dependency_missing("MySQL Connector/C++ 1.1 was not found (Debian: libmysqlcppconn-dev)")
  return()
endif()
if(NOT TARGET tidegate::mysqlcppconn)
  add_library(tidegate::mysqlcppconn UNKNOWN IMPORTED)
  set_target_properties(tidegate::mysqlcppconn PROPERTIES IMPORTED_LOCATION "${TIDEGATE_MYSQLCPPCONN_LIBRARY}"
                        INTERFACE_INCLUDE_DIRECTORIES "${TIDEGATE_MYSQLCPPCONN_INCLUDE_DIR}")
endif()
tidegate_find(PkgConfig)
if(NOT TARGET PkgConfig::MARIADB)
  pkg_check_modules(MARIADB QUIET IMPORTED_TARGET libmariadb>=3.1)
  if(NOT TARGET PkgConfig::MARIADB)
    tidegate_dependency_missing("libmariadb 3.1 was not found (Debian: libmariadb-dev)")
    return()
  endif()
endif()
tidegate_find(ZLIB)
include(${CMAKE_CURRENT_LIST_DIR}/zstd.cmake)
