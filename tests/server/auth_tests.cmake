tidegate_test(server_auth_tests SOURCES access_test.cpp auth_test.cpp jwks_test.cpp jwt_attack_test.cpp jwt_test.cpp rate_limit_test.cpp
              LIBS tidegate::server OpenSSL::Crypto)
