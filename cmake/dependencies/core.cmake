# What tidegate::tidegate links. Read by the build and by the installed package configuration.
tidegate_find(OpenSSL 3)
tidegate_find(fmt 9)
tidegate_find(spdlog 1.10)
tidegate_find(Threads)
