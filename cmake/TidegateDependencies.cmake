# cmake/dependencies/<component>.cmake name what a component links; the build and the installed package configuration
# both read them. Here, in the build, a missing library stops the configuration.
macro(tidegate_find name)
  find_package(${name} ${ARGN} REQUIRED)
endmacro()
macro(tidegate_dependency_missing reason)
  message(FATAL_ERROR "${reason}. `cmake/install_packages.sh build` installs it.")
endmacro()
