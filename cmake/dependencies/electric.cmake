# What tidegate::electric links: tidegate::http.
include(${CMAKE_CURRENT_LIST_DIR}/http.cmake)
