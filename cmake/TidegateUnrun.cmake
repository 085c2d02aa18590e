# Programs that no test of a sanitizer build runs: those that need servers, the examples, the benchmarks. To build them
# with it would take longer than all that is run.
set(TIDEGATE_UNRUN build CACHE STRING "Programs that are not run with a sanitizer: build, syntax (warnings only), skip")
set_property(CACHE TIDEGATE_UNRUN PROPERTY STRINGS build syntax skip)

# tidegate_unrun(<target>...): such targets, of this folder. Each can still be built by its name.
function(tidegate_unrun)
  if(TIDEGATE_UNRUN STREQUAL "build")
    return()
  endif()
  foreach(target ${ARGN})
    set_target_properties(${target} PROPERTIES EXCLUDE_FROM_ALL ON)
    if(TIDEGATE_UNRUN STREQUAL "syntax")
      # When the folder is done, and all is known that the target is made of.
      cmake_language(EVAL CODE "cmake_language(DEFER CALL tidegate_look_through [[${target}]])")
    endif()
  endforeach()
endfunction()

# The same sources with the same options, through the compiler's warnings and no further.
function(tidegate_look_through target)
  get_target_property(sources ${target} SOURCES)
  add_library(${target}_syntax OBJECT ${sources})
  foreach(property INCLUDE_DIRECTORIES COMPILE_DEFINITIONS COMPILE_OPTIONS LINK_LIBRARIES UNITY_BUILD UNITY_BUILD_MODE
                   UNITY_BUILD_BATCH_SIZE)
    get_target_property(value ${target} ${property})
    if(NOT value MATCHES "-NOTFOUND$")
      set_property(TARGET ${target}_syntax PROPERTY ${property} "${value}")
    endif()
  endforeach()
  set_target_properties(${target}_syntax PROPERTIES CXX_COMPILER_LAUNCHER ${PROJECT_SOURCE_DIR}/cmake/syntax_only.sh)
endfunction()
