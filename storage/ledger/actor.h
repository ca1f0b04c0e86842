// Who makes a change, and why: what the ledger writes into its audit log.
#pragma once

#include <algorithm>
#include <ostream>
#include <string>
#include <utility>

namespace tranche::storage {

// Most characters of a reason.
inline constexpr int kMaxReasonChars = 200;

struct Actor {
  std::string name;
  // In their own words; "" if they gave none.
  std::string reason = {};
  // A process that acts by itself: no person has asked for the change.
  bool automatic = false;

  // A person, or a program that acts for one. Without control characters, as is the reason.
  Actor(std::string name, std::string reason = "")  // NOLINT(google-explicit-constructor): most have no reason
      : name(std::move(name)), reason(std::move(reason)) {}
  Actor(const char* name) : name(name) {}  // NOLINT(google-explicit-constructor)

  static Actor Process(std::string name) {
    Actor actor(std::move(name));
    actor.automatic = true;
    return actor;
  }

  // Nobody: the change is not audited.
  bool empty() const { return name.empty(); }

  // As the procedures take it (trigger audit_entry): NAME, or lines with NAME, REASON and "automatic". Servers of
  // before pass only the name. Lines that a name or a reason has itself are joined, so that neither passes for the
  // next.
  std::string ForLedger() const {
    if (empty()) return "";
    if (automatic) return InOneLine(name) + "\n" + InOneLine(reason) + "\nautomatic";
    return reason.empty() ? InOneLine(name) : InOneLine(name) + "\n" + InOneLine(reason);
  }

  // For logs: alice@laptop, because "the price was wrong".
  friend std::ostream& operator<<(std::ostream& out, const Actor& actor) {
    out << actor.name;
    if (!actor.reason.empty()) out << ", because \"" << actor.reason << '"';
    return out;
  }

 private:
  static std::string InOneLine(std::string text) {
    std::replace(text.begin(), text.end(), '\n', ' ');
    return text;
  }
};

}  // namespace tranche::storage
