/// Reads commands until told to stop, or until its input ends.
#include <iostream>
#include <string>

#include "conformance/ds_client_adapter/adapter.h"

int main() {
  std::ios::sync_with_stdio(false);
  tidegate::conformance::Adapter adapter;
  for (std::string line; !adapter.finished() && std::getline(std::cin, line);) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    std::cout << adapter.handle(line) << std::endl;
  }
}
