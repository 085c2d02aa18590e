# What tidegate::durable_streams links: tidegate::http, simdjson.
include(${CMAKE_CURRENT_LIST_DIR}/http.cmake)
tidegate_find(simdjson)
