set(server_auth_sources auth.cpp jwk.cpp jwks.cpp jwks_schedule.cpp jwt.cpp jwt_key.cpp jwt_signature.cpp
                        rate_limit.cpp)
