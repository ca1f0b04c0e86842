// A folder that is deleted with its object.
#pragma once

#include <filesystem>
#include <string>

namespace tranche::testing {

// A new folder under $TMPDIR (or /tmp); the destructor removes it with its content. Other users may enter and read it,
// since servers in tests may run as another user; give them their own folder with MakeSubdir.
class ScratchDir {
 public:
  // `name` becomes a part of the folder's name, for people who look.
  explicit ScratchDir(const std::string& name);
  ~ScratchDir();
  ScratchDir(const ScratchDir&) = delete;
  ScratchDir& operator=(const ScratchDir&) = delete;

  const std::filesystem::path& path() const { return path_; }

  // Makes the folder `name` in it. `owner`, if not empty and this process is root, is the user that will own it.
  std::filesystem::path MakeSubdir(const std::string& name, const std::string& owner = "") const;

 private:
  std::filesystem::path path_;
};

// What the file holds; empty if it cannot be read.
std::string FileContents(const std::filesystem::path& file);

}  // namespace tranche::testing
