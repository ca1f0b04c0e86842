// What the program says, and where it writes it.
#pragma once

#include <fstream>
#include <iostream>
#include <string>

#include "absl/strings/string_view.h"

namespace tranche::load {

// On stderr; returns the exit status of wrong usage.
inline int Fail(absl::string_view message) {
  std::cerr << "tranche-load: " << message << "\n";
  return 1;
}

// False: not everything could be written.
inline bool WriteFile(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::trunc);
  file << text;
  file.close();
  return !file.fail();
}

}  // namespace tranche::load
