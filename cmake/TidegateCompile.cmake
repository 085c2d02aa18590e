# Compiler settings shared by every target of this project.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug, Release, RelWithDebInfo" FORCE)
endif()

# Paths are cached relative to the checkout, so that all checkouts of a machine share what one has compiled.
find_program(TIDEGATE_CCACHE ccache)
if(TIDEGATE_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1
      ${TIDEGATE_CCACHE})
endif()

set(TIDEGATE_SANITIZE "" CACHE STRING "what -fsanitize= is given")
if(TIDEGATE_SANITIZE)
  add_compile_options(-fsanitize=${TIDEGATE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${TIDEGATE_SANITIZE})
  # The usual linker takes minutes for a hundred programs of this size.
  find_program(TIDEGATE_LLD ld.lld)
  if(TIDEGATE_LLD)
    add_link_options(-fuse-ld=lld)
  endif()
endif()

add_library(tidegate_warnings INTERFACE)
target_compile_options(tidegate_warnings INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wshadow
                       $<$<BOOL:${TIDEGATE_WERROR}>:-Werror>)
# Two false alarms of g++: -Wrestrict on `"x" + std::string()` (GCC bug 105651), and -Wsubobject-linkage on file-local
# types when a unity build includes the file.
target_compile_options(tidegate_warnings INTERFACE
                       $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict> $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage>)

# How many files a unity build compiles at once. More is quicker as a whole, and slower after a change of one.
# Larger units than five are for the libraries whose file-local names are known to differ throughout.
set(TIDEGATE_LIBRARY_BATCH 5 CACHE STRING "Files of a library in one unit of a unity build")
set(tidegate_large_units tidegate sqlite mysql nats)
set(TIDEGATE_TEST_BATCH 4 CACHE STRING "Files of a test program in one unit")

# tidegate_library(<name> SOURCES ... [PUBLIC ...] [PRIVATE ...]): one installable component, tidegate::<name>.
function(tidegate_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  if(name STREQUAL "tidegate")
    set(target tidegate)
  else()
    set(target tidegate_${name})
  endif()
  add_library(${target} ${ARG_SOURCES})
  add_library(tidegate::${name} ALIAS ${target})
  set(batch 5)
  if(name IN_LIST tidegate_large_units)
    set(batch ${TIDEGATE_LIBRARY_BATCH})
  endif()
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name} POSITION_INDEPENDENT_CODE ON
                        UNITY_BUILD_MODE BATCH UNITY_BUILD_BATCH_SIZE ${batch})
  # Headers alone: the installed package must not ask its users for it.
  list(TRANSFORM ARG_PRIVATE REPLACE "^nlohmann_json::nlohmann_json$" "$<BUILD_INTERFACE:nlohmann_json::nlohmann_json>")
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_include_directories(${target} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                             $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}> PRIVATE ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(${target} PUBLIC ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE} $<BUILD_INTERFACE:tidegate_warnings>)
endfunction()
