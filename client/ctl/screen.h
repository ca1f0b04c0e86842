// What the output is shown on.
#pragma once

#include "absl/strings/string_view.h"

namespace tranche::ctl {

struct Screen {
  bool color = false;
  // It is a terminal whose lines may be replaced.
  bool redraw = false;
};

// `terminal`: standard output is one. `term`, `no_color`: the variables TERM and NO_COLOR, nullptr if they are not set.
// A terminal of no name, or "dumb", would show control sequences as text. A NO_COLOR that is not empty asks for no
// colour (https://no-color.org).
inline Screen ScreenOf(bool terminal, const char* term, const char* no_color) {
  const bool knows_sequences = terminal && term != nullptr && absl::string_view(term) != "dumb";
  return {.color = knows_sequences && (no_color == nullptr || *no_color == '\0'), .redraw = knows_sequences};
}

}  // namespace tranche::ctl
