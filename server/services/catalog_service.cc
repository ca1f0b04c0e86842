#include "server/services/catalog_service.h"

#include "server/rpc/open_calls.h"

namespace tranche::server {

std::vector<CallEntry> CatalogCalls(CatalogHandler* handler) {
  using enum Permission;
  using enum RunsOn;
  using enum Repeatable;
  using enum CallKind;
  return {
      // Counted as a list: a page view that hangs is no reason to send buyers away.
      InlineCall({"GetSku", kBrowse, kInline, kYes, kList}, handler, &CatalogHandler::Get),
      LargeInlineCall({"ListSkus", kBrowse, kInline, kYes, kList}, handler, &CatalogHandler::List),
  };
}

std::unique_ptr<grpc::Service> MakeCatalogService(CatalogHandler* handler, const CallFrame& frame) {
  const auto* service = v1::CatalogSku::descriptor()->file()->FindServiceByName("CatalogService");
  return std::make_unique<CallService>(*service, frame, CatalogCalls(handler));
}

}  // namespace tranche::server
