set(source_sources
)
