#include <gtest/gtest.h>

#include "client/ctl/screen.h"

namespace tranche::ctl {
namespace {

constexpr bool kTerminal = true;

TEST(ScreenTest, ATerminalIsColouredAndRedrawn) {
  for (const char* no_color : {static_cast<const char*>(nullptr), ""}) {
    const Screen screen = ScreenOf(kTerminal, "xterm-256color", no_color);
    EXPECT_TRUE(screen.color);
    EXPECT_TRUE(screen.redraw);
  }
}

TEST(ScreenTest, NoColorLeavesRedrawing) {
  for (const char* no_color : {"1", "0"}) {
    const Screen screen = ScreenOf(kTerminal, "xterm-256color", no_color);
    EXPECT_FALSE(screen.color) << "any value asks for it: " << no_color;
    EXPECT_TRUE(screen.redraw);
  }
}

TEST(ScreenTest, WhatKnowsNoControlSequencesGetsNone) {
  for (const Screen& screen : {ScreenOf(kTerminal, "dumb", nullptr), ScreenOf(kTerminal, nullptr, nullptr),
                               ScreenOf(!kTerminal, "xterm-256color", nullptr)}) {
    EXPECT_FALSE(screen.color);
    EXPECT_FALSE(screen.redraw);
  }
}

}  // namespace
}  // namespace tranche::ctl
