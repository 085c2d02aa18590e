# What tidegate::http links: Boost (headers alone: Asio and Beast), OpenSSL, libcurl, zlib.
tidegate_find(OpenSSL 3)
tidegate_find(CURL 7.80)
tidegate_find(ZLIB)
