# What tidegate::nats links: PkgConfig::NATS, the C client (Debian's CMake configuration names a static library that its
# package does not have).
tidegate_find(PkgConfig)
if(NOT TARGET PkgConfig::NATS)
  pkg_check_modules(NATS QUIET IMPORTED_TARGET libnats>=3.4)
  if(NOT TARGET PkgConfig::NATS)
    tidegate_dependency_missing("libnats 3.4 was not found (Debian: libnats-dev)")
    return()
  endif()
endif()
