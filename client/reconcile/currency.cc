#include "client/reconcile/currency.h"

#include <algorithm>
#include <array>

namespace tranche::reconcile {

int DecimalsOf(absl::string_view currency) {
  constexpr std::array<absl::string_view, 17> kNone = {"BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG",
                                                       "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"};
  constexpr std::array<absl::string_view, 7> kThree = {"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"};
  constexpr std::array<absl::string_view, 2> kFour = {"CLF", "UYW"};
  if (std::find(kNone.begin(), kNone.end(), currency) != kNone.end()) return 0;
  if (std::find(kThree.begin(), kThree.end(), currency) != kThree.end()) return 3;
  if (std::find(kFour.begin(), kFour.end(), currency) != kFour.end()) return 4;
  return 2;
}

}  // namespace tranche::reconcile
