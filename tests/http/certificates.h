/// Certificates for tests, made by openssl: an authority, a server's for localhost and 127.0.0.1, a client's.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace tidegate::http::test {

class Certificates {
 public:
  Certificates() {
    std::string name = (std::filesystem::temp_directory_path() / "tidegate-tls-XXXXXX").string();
    if (!mkdtemp(name.data())) std::abort();
    folder_ = name;
    run("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj '/CN=test authority' -keyout "
        "ca.key "
        "-out ca.pem");
    sign("server", "subjectAltName=DNS:localhost,IP:127.0.0.1");
  }
  Certificates(const Certificates&) = delete;
  Certificates& operator=(const Certificates&) = delete;
  ~Certificates() { std::filesystem::remove_all(folder_); }

  /// Makes NAME.key and NAME.pem, signed by the authority.
  void sign(const std::string& name, const std::string& extension) const {
    run("req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/CN=" + name + "' -addext '" + extension +
        "' -keyout " + name + ".key -out " + name + ".csr");
    run("x509 -req -in " + name + ".csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -copy_extensions copy -out " +
        name + ".pem");
  }
  std::string path(const std::string& file) const { return (folder_ / file).string(); }

 private:
  void run(const std::string& arguments) const {
    const std::string command =
        "cd '" + folder_.string() + "' && openssl " + arguments + " >log 2>&1 || { cat log; exit 1; }";
    if (std::system(command.c_str()) != 0) ADD_FAILURE() << "openssl " << arguments;
  }

  std::filesystem::path folder_{};
};

}  // namespace tidegate::http::test
