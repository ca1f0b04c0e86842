#include "quota/balancer/round/sale_watch.h"

#include <utility>
#include <vector>

#include "glog/logging.h"
#include "storage/base/log_event.h"

namespace tranche::quota {

void SaleWatch::OnSku(const storage::Sku& sku) {
  const absl::Time now = clock_.Now();
  Log(events_.See(SightOf(sku, now), now));
  if (events_.full()) {
    LOG_EVERY_T(WARNING, 3600) << "more than " << SaleEvents::kMostSkus
                               << " SKUs are not over: the events of further ones are not logged";
  }
}

void SaleWatch::Log(const std::vector<SaleEvent>& events) {
  for (const SaleEvent& event : events) {
    std::vector<LogField> fields = {
        {"sku", event.sku_id}, {"units", event.units}, {"unsold", event.unsold}, {"held", event.held}};
    if (event.since_opened.has_value()) fields.push_back({"seconds", absl::ToDoubleSeconds(*event.since_opened)});
    LogEvent(event.name, std::move(fields));
  }
}

}  // namespace tranche::quota
