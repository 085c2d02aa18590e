set(server_sync_sources)
