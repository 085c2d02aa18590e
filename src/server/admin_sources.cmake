set(server_admin_sources)
