# What tidegate::server links: tidegate::http.
include(${CMAKE_CURRENT_LIST_DIR}/http.cmake)
