// What the output is shown on.
#pragma once

namespace tranche::ctl {

struct Screen {
  bool color = false;
  // It is a terminal whose lines may be replaced.
  bool redraw = false;
};

}  // namespace tranche::ctl
