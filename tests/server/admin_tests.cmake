# Tests of src/server/admin_sources.cmake.
