set(gateway_sources
)
