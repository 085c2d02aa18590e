/// Where this system keeps the certificates it trusts, for client libraries that want a file named.
#pragma once

#include <unistd.h>
#include <string>

namespace tidegate::detail {

/// The first readable PEM bundle of the usual places, or empty.
inline std::string systemCaBundle() {
  for (const char* path : {"/etc/ssl/certs/ca-certificates.crt",                 // Debian, Alpine, Arch
                           "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  // Fedora, RHEL
                           "/etc/ssl/ca-bundle.pem",                             // SUSE
                           "/etc/ssl/cert.pem"}) {                               // BSDs, macOS
    if (access(path, R_OK) == 0) return path;
  }
  return {};
}

}  // namespace tidegate::detail
