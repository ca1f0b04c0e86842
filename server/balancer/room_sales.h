// What becomes of those whom a room let in: how many are still under way to buying, and what part buys.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

namespace tranche::server {

// Of the SKU, as the ledger says.
struct RoomSale {
  bool open = false;
  int64_t unsold = 0;
  int64_t stock = 0;
};

// Used by one thread. Seconds are those since any fixed moment, and never less than at the call before.
class RoomSales {
 public:
  static constexpr double kLeastConversion = 0.05;

  // As found when this process began to lead: so many count as let in at the first look, and this conversion holds
  // until 20 buyers were let in here and had their time. Values that cannot be count as nobody, and as 1.
  RoomSales(double under_way, double conversion);

  // `window_s`: who was let in longer ago than this buys no more. nullopt: the ledger does not say; then nobody is seen
  // to buy.
  void Look(double at_s, double window_s, const std::optional<RoomSale>& sale);
  // Later than the last look, or then.
  void LetIn(double buyers);

  // Let in within the window, less the units sold in it, and at least 0. Units that come back are not counted as sold
  // less: who has returned them is not under way.
  double under_way() const;
  // The part of those let in that buys, kLeastConversion to 1.
  double conversion() const;

 private:
  struct Slot {
    double at_s = 0;
    double let_in = 0;
    double sold = 0;
  };

  Slot& Current();
  // Since the last look.
  double Sold(const std::optional<RoomSale>& sale);

  // They are not measured: when they were let in, and what was sold to them before, is not known.
  double found_under_way_;
  double found_until_s_ = 0;
  double found_conversion_;
  bool looked_ = false;
  double at_s_ = 0;
  double window_s_ = 0;
  std::optional<double> units_sold_;  // in all, as the ledger last said
  std::deque<Slot> slots_;            // of one window, the oldest first
  // Both fade alike. Who was let in is added when a window has passed, and they have bought or not: added at once, they
  // would look like people who do not buy.
  double had_their_chance_ = 0;
  double bought_ = 0;
};

}  // namespace tranche::server
