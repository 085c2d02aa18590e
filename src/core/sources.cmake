set(core_sources
)
