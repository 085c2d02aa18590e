set(server_auth_sources)
