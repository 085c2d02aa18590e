# What tidegate::http links: OpenSSL, libcurl, zlib. Boost's headers (Asio) only while it is built.
tidegate_find(OpenSSL 3)
tidegate_find(CURL 7.85)
tidegate_find(ZLIB)
