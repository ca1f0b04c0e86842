#include "client/ctl/table.h"

#include <glog/logging.h>

#include <algorithm>
#include <cctype>
#include <utility>

#include "client/ctl/display_width.h"

namespace tranche::ctl {
namespace {

// "12", "-3", "0.5", or "-" for none.
bool IsNumber(const std::string& cell) {
  const size_t sign = cell.front() == '-' ? 1 : 0;
  return std::all_of(cell.begin() + static_cast<std::ptrdiff_t>(sign), cell.end(),
                     [](unsigned char c) { return std::isdigit(c) != 0 || c == '.'; });
}

std::string Padded(const std::string& cell, size_t width, bool right) {
  const std::string space(width - DisplayWidth(cell), ' ');
  return right ? space + cell : cell + space;
}

}  // namespace

void Table::AddRow(std::vector<std::string> cells) {
  CHECK_EQ(cells.size(), headers_.size());
  // Text from elsewhere (a title, say) must not move the terminal's cursor.
  for (std::string& cell : cells) {
    for (char& c : cell) {
      if (std::iscntrl(static_cast<unsigned char>(c)) != 0) c = '?';
    }
    if (cell.empty()) cell.push_back('-');
  }
  rows_.push_back(std::move(cells));
}

void Table::Print(std::ostream& out, bool bold_header) const {
  std::vector<size_t> widths(headers_.size());
  std::vector<bool> right(headers_.size(), !rows_.empty());
  for (size_t column = 0; column < headers_.size(); ++column) {
    widths[column] = DisplayWidth(headers_[column]);
    for (const auto& row : rows_) {
      widths[column] = std::max(widths[column], DisplayWidth(row[column]));
      if (!IsNumber(row[column])) right[column] = false;
    }
  }
  const auto line = [&](const std::vector<std::string>& cells) {
    std::string text;
    for (size_t column = 0; column < cells.size(); ++column) {
      if (column > 0) text += "  ";
      text += Padded(cells[column], widths[column], right[column]);
    }
    text.erase(text.find_last_not_of(' ') + 1);
    return text;
  };
  out << (bold_header ? "\x1b[1m" : "") << line(headers_) << (bold_header ? "\x1b[0m" : "") << "\n";
  for (const auto& row : rows_) out << line(row) << "\n";
}

}  // namespace tranche::ctl
