# Tests of src/server/auth_sources.cmake.
