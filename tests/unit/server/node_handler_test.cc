#include "server/handlers/node_handler.h"

#include "server/handlers/node_directory.h"
#include "tests/unit/server/admin_fixture.h"

namespace tranche::server {
namespace {

class NodeHandlerTest : public AdminHandlersTest {
 protected:
  static v1::DrainNodeRequest DrainRequest(const std::string& node, bool preview = false, bool stay = true) {
    v1::DrainNodeRequest request;
    request.set_node(node);
    request.set_preview(preview);
    request.set_stay(stay);
    return request;
  }
  static v1::UndrainNodeRequest UndrainRequest(const std::string& node, bool preview = false) {
    v1::UndrainNodeRequest request;
    request.set_node(node);
    request.set_preview(preview);
    return request;
  }
  // What the node was told; nullopt if nothing.
  std::optional<internal::v1::DrainRequest> Told(storage::IncarnationId incarnation) {
    const auto znode = sessions_.session->Get(quota::DrainPath(incarnation), quota::Watch::kNo);
    internal::v1::DrainRequest told;
    if (!znode.ok() || !told.ParseFromString(znode->data)) return std::nullopt;
    EXPECT_EQ(znode->ephemeral_owner, 0) << "it must outlive the node that was asked to write it";
    return told;
  }
  bool DrainingByLedger(storage::IncarnationId incarnation) {
    const auto incarnations = *ledger_.ListLiveIncarnations();
    for (const auto& live : incarnations) {
      if (live.id == incarnation) return live.draining;
    }
    return false;
  }
  v1::Node Listed(storage::IncarnationId incarnation) {
    const auto list = node_.List({});
    EXPECT_TRUE(list.ok());
    for (const v1::Node& node : list->nodes()) {
      if (node.incarnation() == incarnation) return node;
    }
    return v1::Node();
  }
};

TEST_F(NodeHandlerTest, ListPages) {
  v1::ListNodesRequest list;
  list.set_page_size(1);
  const auto first = node_.List(list);
  ASSERT_TRUE(first.ok());
  ASSERT_EQ(first->nodes_size(), 1);
  EXPECT_EQ(first->nodes(0).name(), "a");
  EXPECT_EQ(first->nodes(0).address(), "a:1");
  EXPECT_EQ(first->nodes(0).state(), v1::NODE_STATE_SERVING);
  list.set_page_token(first->next_page_token());
  const auto second = node_.List(list);
  ASSERT_EQ(second->nodes_size(), 1);
  EXPECT_EQ(second->nodes(0).name(), "b");
  EXPECT_EQ(second->next_page_token(), "");
}

TEST_F(NodeHandlerTest, APreviewChangesNothing) {
  const auto preview = node_.Drain(DrainRequest(std::to_string(b_), /*preview=*/true), kActor);
  ASSERT_TRUE(preview.ok());
  EXPECT_FALSE(preview->before().draining());
  EXPECT_TRUE(preview->node().draining());
  EXPECT_FALSE(Told(b_).has_value());
  EXPECT_FALSE(DrainingByLedger(b_));
}

TEST_F(NodeHandlerTest, DrainIsInTheLedgerAuditedAndTold) {
  ASSERT_TRUE(node_.Drain(DrainRequest("b"), "alice").ok());
  EXPECT_TRUE(DrainingByLedger(b_));
  ASSERT_TRUE(Told(b_).has_value());
  EXPECT_FALSE(Told(b_)->exit());
  const auto audit = *ledger_.ListAudit({}, 0, 1);
  EXPECT_EQ(audit[0].actor, "alice");
  EXPECT_EQ(audit[0].incarnation, b_);

  ASSERT_TRUE(node_.Drain(DrainRequest("b"), "bob").ok()) << "asking twice is harmless";
  EXPECT_EQ((*ledger_.ListAudit({}, 0, 1))[0].actor, "alice");
}

TEST_F(NodeHandlerTest, CallersThatDoNotKnowStayHaveTheProcessEndAsEver) {
  v1::DrainNodeRequest request;
  request.set_node("b");
  ASSERT_TRUE(node_.Drain(request, kActor).ok());
  EXPECT_TRUE(Told(b_)->exit());
  ASSERT_TRUE(node_.Drain(DrainRequest("b", /*preview=*/false, /*stay=*/true), kActor).ok());
  EXPECT_FALSE(Told(b_)->exit()) << "the last request counts";
}

// It ends the process: somebody's decision, also when the node drains already.
TEST_F(NodeHandlerTest, WhetherTheProcessEndsIsAudited) {
  const auto newest = [this] { return (*ledger_.ListAudit({}, 0, 1))[0]; };
  ASSERT_TRUE(node_.Drain(DrainRequest("b"), "alice").ok());
  EXPECT_EQ(newest().before, R"({"draining": false})");
  EXPECT_EQ(newest().after, R"({"exit": false, "draining": true})");

  ASSERT_TRUE(node_.Drain(DrainRequest("b", /*preview=*/false, /*stay=*/false), "bob").ok());
  EXPECT_EQ(newest().actor, "bob");
  EXPECT_EQ(newest().action, "drain_incarnation");
  EXPECT_EQ(newest().incarnation, b_);
  EXPECT_EQ(newest().before, R"({"exit": false, "draining": true})");
  EXPECT_EQ(newest().after, R"({"exit": true, "draining": true})");

  ASSERT_TRUE(node_.Drain(DrainRequest("b", /*preview=*/false, /*stay=*/false), "carol").ok());
  EXPECT_EQ(newest().actor, "bob") << "nothing has changed";
  ASSERT_TRUE(node_.Undrain(UndrainRequest("b"), "dave").ok());
  EXPECT_EQ(newest().before, R"({"draining": true})");
  EXPECT_EQ(newest().after, R"({"draining": false})");
}

TEST_F(NodeHandlerTest, UndrainTakesItBackInBothPlaces) {
  ASSERT_TRUE(node_.Drain(DrainRequest("b"), kActor).ok());
  const auto preview = node_.Undrain(UndrainRequest("b", /*preview=*/true), kActor);
  ASSERT_TRUE(preview.ok());
  EXPECT_TRUE(preview->before().draining());
  EXPECT_EQ(preview->node().state(), v1::NODE_STATE_SERVING);
  EXPECT_TRUE(DrainingByLedger(b_)) << "a preview changes nothing";

  const auto undrained = node_.Undrain(UndrainRequest("b"), kActor);
  ASSERT_TRUE(undrained.ok());
  EXPECT_EQ(undrained->node().state(), v1::NODE_STATE_SERVING);
  EXPECT_FALSE(DrainingByLedger(b_));
  EXPECT_FALSE(Told(b_).has_value());
  EXPECT_TRUE(node_.Undrain(UndrainRequest("b"), kActor).ok()) << "asking twice is harmless";
}

TEST_F(NodeHandlerTest, DrainedIsWhoHoldsNothingAnyMore) {
  ASSERT_TRUE(quota_.Set(SetRequest("b", 40, false), kActor).ok());
  EXPECT_EQ(node_.Drain(DrainRequest("b"), kActor)->node().state(), v1::NODE_STATE_DRAINING);
  EXPECT_EQ(Listed(b_).state(), v1::NODE_STATE_DRAINING);
  EXPECT_EQ(Listed(b_).units_held(), 40);
  ASSERT_TRUE(quota_.Set(SetRequest("b", 0, false), kActor).ok());
  EXPECT_EQ(Listed(b_).state(), v1::NODE_STATE_DRAINED);
  EXPECT_TRUE(Listed(b_).draining());
}

TEST_F(NodeHandlerTest, HalfARequestCountsAndIsMendedByRepeatingIt) {
  const int64_t id = sessions_.session->SessionId();
  ledger_.before_next_change = [&] { zookeeper_.Disconnect(id); };
  const absl::Status not_told = node_.Drain(DrainRequest("b"), kActor).status();
  EXPECT_EQ(ReasonOf(not_told), "COORDINATION_UNAVAILABLE");
  EXPECT_EQ(MetadataOf(not_told, "node"), "b");
  EXPECT_TRUE(DrainingByLedger(b_));

  zookeeper_.Reconnect(id);
  EXPECT_FALSE(Told(b_).has_value());
  EXPECT_TRUE(Listed(b_).draining()) << "by the ledger";
  ASSERT_TRUE(node_.Drain(DrainRequest("b"), kActor).ok());
  EXPECT_TRUE(Told(b_).has_value());

  ledger_.before_next_change = [&] { zookeeper_.Disconnect(id); };
  EXPECT_FALSE(node_.Undrain(UndrainRequest("b"), kActor).ok());
  zookeeper_.Reconnect(id);
  EXPECT_FALSE(Listed(b_).draining()) << "the ledger decides, and repair tells the node";
  EXPECT_TRUE(Told(b_).has_value());
  ASSERT_TRUE(node_.Undrain(UndrainRequest("b"), kActor).ok());
  EXPECT_FALSE(Told(b_).has_value());
}

TEST_F(NodeHandlerTest, WhoIsNotThereIsNotDrained) {
  EXPECT_EQ(ReasonOf(node_.Drain(DrainRequest("nobody"), kActor).status()), "NODE_NOT_FOUND");
  EXPECT_EQ(ReasonOf(node_.Drain(DrainRequest(""), kActor).status()), "FIELD_INVALID");
  EXPECT_EQ(ReasonOf(node_.Undrain(UndrainRequest("nobody"), kActor).status()), "NODE_NOT_FOUND");
  // It ends between the look and the request.
  ledger_.before_next_change = [this] { ASSERT_TRUE(ledger_.ReclaimIncarnation(b_).ok()); };
  EXPECT_EQ(ReasonOf(node_.Drain(DrainRequest("b"), kActor).status()), "NODE_NOT_FOUND");
  EXPECT_FALSE(Told(b_).has_value());
}

TEST_F(NodeHandlerTest, ANameMeansItsNewestIncarnation) {
  const storage::IncarnationId newer = Register("a");
  const auto nodes = RequireLiveNodes(sessions_, ledger_);
  ASSERT_TRUE(nodes.ok());
  EXPECT_EQ(ResolveNode(*nodes, "a")->incarnation, newer);
  EXPECT_EQ(ResolveNode(*nodes, std::to_string(a_))->incarnation, a_);
}

TEST_F(NodeHandlerTest, NodesThatShareANameMustBeNamedByIncarnation) {
  const storage::IncarnationId other = Register("a", "elsewhere:1");
  const absl::Status error = node_.Drain(DrainRequest("a"), kActor).status();
  EXPECT_EQ(ReasonOf(error), "FIELD_INVALID");
  EXPECT_EQ(MetadataOf(error, "field"), "node");
  EXPECT_NE(error.message().find(absl::StrCat(a_, " (a:1), ", other, " (elsewhere:1)")), absl::string_view::npos)
      << error;
  EXPECT_FALSE(DrainingByLedger(a_) || DrainingByLedger(other));
  ASSERT_TRUE(node_.Drain(DrainRequest(absl::StrCat(other)), kActor).ok());
  EXPECT_TRUE(DrainingByLedger(other));
  EXPECT_FALSE(DrainingByLedger(a_));
}

TEST_F(NodeHandlerTest, ADrainTellsTheUnitsAndWhetherItIsTheLastThatServes) {
  ASSERT_TRUE(quota_.Set(SetRequest("b", 40, false), kActor).ok());
  const auto first = node_.Drain(DrainRequest("b", /*preview=*/true), kActor);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(first->before().units_held(), 40);
  EXPECT_EQ(first->warnings_size(), 0);
  ASSERT_TRUE(node_.Drain(DrainRequest("b"), kActor).ok());
  const auto last = node_.Drain(DrainRequest("a", /*preview=*/true), kActor);
  ASSERT_TRUE(last.ok());
  EXPECT_EQ(last->warnings_size(), 1);
  EXPECT_EQ(node_.Drain(DrainRequest("b", /*preview=*/true), kActor)->warnings_size(), 0) << "it does not serve";
}

TEST_F(NodeHandlerTest, AConsumerIsListedAsSuchAndServesNobody) {
  const storage::IncarnationId consumer = Register("c", "c:1", /*consumer=*/true);
  EXPECT_TRUE(Listed(consumer).consumer());
  EXPECT_FALSE(Listed(a_).consumer());
  ASSERT_TRUE(node_.Drain(DrainRequest("b"), kActor).ok());
  EXPECT_EQ(node_.Drain(DrainRequest("a", /*preview=*/true), kActor)->warnings_size(), 1) << "the last one that serves";
  EXPECT_EQ(node_.Drain(DrainRequest("c", /*preview=*/true), kActor)->warnings_size(), 0);
}

TEST_F(NodeHandlerTest, WhatTheLedgerHasEndedIsNoNode) {
  ASSERT_TRUE(ledger_.ReclaimIncarnation(a_).ok());
  const auto nodes = RequireLiveNodes(sessions_, ledger_);
  ASSERT_TRUE(nodes.ok());
  ASSERT_EQ(nodes->size(), 1u);
  EXPECT_EQ(nodes->front().incarnation, b_);
}

}  // namespace
}  // namespace tranche::server
