# Tests of src/server/sync_sources.cmake.
