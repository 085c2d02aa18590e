# tidegate::zstd, for whoever reads what others compressed: Debian's package has no CMake configuration.
if(NOT TARGET tidegate::zstd)
  find_path(TIDEGATE_ZSTD_INCLUDE_DIR zstd.h)
  find_library(TIDEGATE_ZSTD_LIBRARY zstd)
  mark_as_advanced(TIDEGATE_ZSTD_INCLUDE_DIR TIDEGATE_ZSTD_LIBRARY)
  if(TIDEGATE_ZSTD_INCLUDE_DIR AND TIDEGATE_ZSTD_LIBRARY)
    add_library(tidegate::zstd UNKNOWN IMPORTED)
    set_target_properties(tidegate::zstd PROPERTIES IMPORTED_LOCATION "${TIDEGATE_ZSTD_LIBRARY}"
                          INTERFACE_INCLUDE_DIRECTORIES "${TIDEGATE_ZSTD_INCLUDE_DIR}")
  else()
    tidegate_dependency_missing("zstd (Debian: libzstd-dev) was not found")
  endif()
endif()
