set(server_auth_sources auth.cpp base64url.cpp jwk.cpp jwt.cpp jwt_key.cpp jwt_signature.cpp)
