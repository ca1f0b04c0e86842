#include "client/ctl/live_view.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace tranche::ctl {
namespace {

constexpr char kClearScreen[] = "\x1b[H\x1b[2J";

std::string Clock(absl::Time time) { return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone()); }

}  // namespace

bool MayPass(const absl::Status& error) {
  switch (error.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnknown:
      return true;
    default:
      return false;
  }
}

void LiveHeader::Fresh() {
  seen_ = absl::Now();
  if (session_.redraws()) {
    session_.out() << kClearScreen;
  } else if (stale_) {
    session_.err() << Clock(seen_) << "  answered again" << std::endl;
  }
  stale_ = false;
  if (!session_.json()) session_.out() << Clock(seen_) << "\n";
}

bool LiveHeader::Stale(const absl::Status& error) {
  const absl::Time now = absl::Now();
  const std::string line = absl::StrCat(Clock(now), "  STALE: as of ", Clock(seen_), "; ", DescribeError(error));
  const bool told = std::exchange(stale_, true);
  if (session_.redraws()) {
    session_.out() << kClearScreen << line << "\n";
  } else if (!told) {
    session_.err() << line << std::endl;
  }
  return session_.redraws();
}

}  // namespace tranche::ctl
