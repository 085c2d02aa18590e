# What tidegate::kinesis links: tidegate::http, simdjson, zlib, zstd.
include(${CMAKE_CURRENT_LIST_DIR}/http.cmake)
tidegate_find(simdjson)
include(${CMAKE_CURRENT_LIST_DIR}/zstd.cmake)
