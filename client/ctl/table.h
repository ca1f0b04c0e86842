// A table of text with aligned columns.
#pragma once

#include <ostream>
#include <string>
#include <vector>

namespace tranche::ctl {

class Table {
 public:
  explicit Table(std::vector<std::string> headers) : headers_(std::move(headers)) {}

  // As many cells as there are headers.
  void AddRow(std::vector<std::string> cells);
  // Columns that hold only numbers are right-aligned. `bold_header`: with terminal codes.
  void Print(std::ostream& out, bool bold_header) const;

 private:
  std::vector<std::string> headers_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace tranche::ctl
