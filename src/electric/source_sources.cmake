set(electric_source_sources
    source.cpp detail/source_core.cpp detail/source_exchange.cpp detail/source_merge.cpp detail/source_message.cpp
    detail/source_offset.cpp detail/source_place.cpp detail/source_reader.cpp detail/source_reader_page.cpp
    detail/source_refusal.cpp detail/source_rows.cpp detail/source_run.cpp detail/source_schema.cpp
    detail/source_types.cpp detail/source_url.cpp)
