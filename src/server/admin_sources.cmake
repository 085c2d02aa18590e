set(server_admin_sources
    admin/change_feed.cpp
    admin/engine_api.cpp
    admin/feed_observers.cpp
    admin/jobs_api.cpp
    admin/jobs_schemas.cpp
    admin/status_page.cpp
    detail/json_answers.cpp
    ${CMAKE_CURRENT_BINARY_DIR}/status_page_files.cpp)

# The status page's files are part of the library.
set(page ${CMAKE_CURRENT_SOURCE_DIR}/admin/page)
add_custom_command(
  OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/status_page_files.cpp
  COMMAND ${CMAKE_COMMAND} -DOUTPUT=${CMAKE_CURRENT_BINARY_DIR}/status_page_files.cpp
          -DHEADER=server/detail/status_page_files.h -DNAMESPACE=tidegate::server::detail
          -P ${PROJECT_SOURCE_DIR}/cmake/EmbedFiles.cmake kStatusHtml=${page}/status.html
          kStatusScript=${page}/status.js kStatusStyle=${page}/status.css
  DEPENDS ${PROJECT_SOURCE_DIR}/cmake/EmbedFiles.cmake ${page}/status.html ${page}/status.js ${page}/status.css
  VERBATIM)
