#include "storage/base/access_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace tranche {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using Kind = SubjectName::Kind;

constexpr char kToken[] = "trt_0123456789abcdef0123456789abcdef0123456789a";

// With ' for ", so that it can be read here.
absl::StatusOr<std::shared_ptr<const AccessPolicy>> Parse(const std::string& text) {
  return AccessPolicy::Parse(absl::StrReplaceAll(text, {{"'", "\""}}));
}

std::string FaultOf(const std::string& text) {
  const auto policy = Parse(text);
  return policy.ok() ? "none" : std::string(policy.status().message());
}

// What is wrong with a file whose second principal has these members.
std::string FaultOfSecond(const std::string& members) {
  return FaultOf(absl::StrCat("{'principals': [{'name': 'first', 'roles': ['viewer'], 'certificates': ['DNS:a.b'], ",
                              "'tokens_sha256': ['", HexOf(DigestOfToken(kToken)), "']}, {", members, "}]}"));
}

std::string NameOf(const std::shared_ptr<const Principal>& principal) {
  return principal == nullptr ? "nobody" : principal->name;
}

TEST(AccessPolicyTest, FindsPrincipalsByCertificateAndByToken) {
  const auto policy = Parse(absl::StrCat(R"({ // who may call
    'anonymous': ['storefront'],
    'principals': [
      { 'name': 'shop-web', 'roles': ['storefront'],
        'certificates': ['URI:spiffe://shop/web', 'DNS:Web.shop.internal'] },
      /* a person */
      { 'name': 'ada', 'roles': ['operator', 'risk'], 'certificates': ['EMAIL:ada@shop.example'],
        'tokens_sha256': [')",
                                         HexOf(DigestOfToken(kToken)), "'] } ] }"));
  ASSERT_TRUE(policy.ok()) << policy.status();
  const AccessPolicy& who = **policy;
  EXPECT_EQ(NameOf(who.FindCertificate({{Kind::kUri, "spiffe://shop/web"}})), "shop-web");
  EXPECT_EQ(NameOf(who.FindCertificate({{Kind::kDns, "x.y"}, {Kind::kDns, "web.SHOP.internal"}})), "shop-web");
  EXPECT_EQ(NameOf(who.FindCertificate({{Kind::kEmail, "ada@shop.example"}})), "ada");
  EXPECT_EQ(NameOf(who.FindCertificate({{Kind::kEmail, "Ada@shop.example"}})), "nobody") << "only hosts have no case";
  EXPECT_EQ(NameOf(who.FindCertificate({{Kind::kUri, "spiffe://shop/web/"}})), "nobody");
  EXPECT_EQ(NameOf(who.FindCertificate({{Kind::kDns, "spiffe://shop/web"}})), "nobody") << "of another kind";
  EXPECT_EQ(NameOf(who.FindCertificate({})), "nobody");
  EXPECT_EQ(NameOf(who.FindToken(kToken)), "ada");
  EXPECT_EQ(NameOf(who.FindToken(absl::StrCat(kToken, "b"))), "nobody");
  EXPECT_EQ(NameOf(who.FindToken(HexOf(DigestOfToken(kToken)))), "nobody") << "whoever reads the file has no token";
  EXPECT_EQ(NameOf(who.FindToken("")), "nobody");
  EXPECT_EQ(who.FindToken(kToken)->roles, (Roles{Role::kRisk, Role::kOperator}));
  EXPECT_EQ(who.anonymous()->roles, Roles{Role::kStorefront});
}

TEST(AccessPolicyTest, OnlyWhatHasTheFormOfATokenIsOne) {
  for (const std::string& text : {std::string("test"), std::string("trt_test"), absl::StrCat(kToken, "b"),
                                  absl::StrCat("TRT_", std::string(43, 'a'))}) {
    const auto policy = Parse(absl::StrCat("{'principals': [{'name': 'a', 'roles': [], 'tokens_sha256': ['",
                                           HexOf(DigestOfToken(text)), "']}]}"));
    ASSERT_TRUE(policy.ok()) << policy.status();
    EXPECT_EQ(NameOf((*policy)->FindToken(text)), "nobody") << text;
  }
}

TEST(AccessPolicyTest, TheFirstNameThatIsKnownDecides) {
  const auto policy = Parse(
      "{'principals': [{'name': 'a', 'roles': [], 'certificates': ['DNS:a.b']}, "
      "{'name': 'b', 'roles': [], 'certificates': ['URI:spiffe://b/c']}]}");
  ASSERT_TRUE(policy.ok()) << policy.status();
  EXPECT_EQ(NameOf((*policy)->FindCertificate({{Kind::kUri, "spiffe://b/c"}, {Kind::kDns, "a.b"}})), "b");
}

TEST(AccessPolicyTest, WithoutAFileNobodyIsKnown) {
  const AccessPolicy nobody;
  EXPECT_EQ(nobody.FindToken(kToken), nullptr);
  EXPECT_TRUE(nobody.anonymous()->roles.empty());
}

TEST(AccessPolicyTest, FaultsNameTheirPlace) {
  EXPECT_EQ(FaultOf("{'principals': []}"), "none");
  EXPECT_THAT(FaultOf("{\n  'principals': [\n}"), HasSubstr("line 3, column 1"));
  EXPECT_THAT(FaultOf(""), HasSubstr("no JSON"));
  EXPECT_THAT(FaultOf("{'principals': [],\n 'x': 1e999}"), AllOf(HasSubstr("line 2"), HasSubstr("no JSON")));
  EXPECT_THAT(FaultOf("[]"), HasSubstr("must be an object"));
  EXPECT_THAT(FaultOf("{}"), HasSubstr("principals"));
  EXPECT_THAT(FaultOf("{'principals': [], 'roles': []}"), AllOf(HasSubstr("roles"), HasSubstr("unknown member")));
  EXPECT_THAT(FaultOf("{'principals': [], 'principals': []}"), HasSubstr("\"principals\": is there twice"));
  EXPECT_THAT(FaultOf("{'anonymous': ['root'], 'principals': []}"),
              AllOf(HasSubstr("anonymous[0]"), HasSubstr("\"root\" is no role"), HasSubstr("storefront, service")));

  EXPECT_THAT(FaultOfSecond("'roles': []"), HasSubstr("principals[1].name"));
  EXPECT_THAT(FaultOfSecond("'name': 'a b', 'roles': []"), HasSubstr("principals[1].name"));
  EXPECT_THAT(FaultOfSecond("'name': 'a\\u0000', 'roles': []"), HasSubstr("principals[1].name"));
  EXPECT_THAT(FaultOfSecond("'name': 'b'"), AllOf(HasSubstr("principals[1] (b)"), HasSubstr("roles")));
  EXPECT_THAT(FaultOfSecond("'name': 'b', 'roles': ['viewer', 'viewer']"), HasSubstr("(b).roles[1]"));
  EXPECT_THAT(FaultOfSecond("'name': 'b', 'roles': 'viewer'"), HasSubstr("list of texts"));
  EXPECT_THAT(FaultOfSecond("'name': 'b', 'roles': [1]"), HasSubstr("(b).roles[0]"));
  EXPECT_THAT(FaultOfSecond("'name': 'first', 'roles': []"), HasSubstr("another principal has this name"));
  EXPECT_THAT(FaultOfSecond("'name': 'anonymous', 'roles': []"), HasSubstr("without credentials"));
  EXPECT_THAT(FaultOfSecond("'name': 'b', 'roles': [], 'token': ''"), HasSubstr("unknown member \"token\""));
  for (const char* name :
       {"CN:shop", "shop.internal", "URI:", "URI:no-colon", "DNS:", "DNS:a b", "EMAIL:ada", "uri:a:b"}) {
    EXPECT_THAT(FaultOfSecond(absl::StrCat("'name': 'b', 'roles': [], 'certificates': ['", name, "']")),
                HasSubstr("(b).certificates[0]"))
        << name;
  }
  EXPECT_THAT(FaultOfSecond("'name': 'b', 'roles': [], 'certificates': ['DNS:x.y', 'DNS:A.b']"),
              AllOf(HasSubstr("(b).certificates[1]"), HasSubstr("of first already")));
}

TEST(AccessPolicyTest, FaultsNeverRepeatACredential) {
  const std::string same = HexOf(DigestOfToken(kToken));
  EXPECT_THAT(FaultOfSecond(absl::StrCat("'name': 'b', 'roles': [], 'tokens_sha256': ['", same, "']")),
              AllOf(HasSubstr("(b).tokens_sha256[0]"), HasSubstr("of first already"), Not(HasSubstr(same))));
  for (const char* member : {"tokens_sha256", "certificates"}) {
    EXPECT_THAT(FaultOfSecond(absl::StrCat("'name': 'b', 'roles': [], '", member, "': ['", kToken, "']")),
                AllOf(HasSubstr(absl::StrCat("(b).", member, "[0]")), Not(HasSubstr(kToken))))
        << "the token itself, in the wrong place";
  }
  EXPECT_THAT(FaultOf(absl::StrCat("{'principals': [", kToken, "]}")), Not(HasSubstr("trt_")));
}

TEST(AccessPolicyTest, IsBounded) {
  EXPECT_THAT(FaultOf(std::string(kMaxAccessFileBytes + 1, ' ')), HasSubstr("1 MiB"));
  std::string many = "{'principals': [";
  for (size_t i = 0; i <= kMaxPrincipals; ++i) {
    absl::StrAppend(&many, i == 0 ? "" : ",", "{'name': 'p", i, "', 'roles': []}");
  }
  EXPECT_THAT(FaultOf(many + "]}"), HasSubstr("10,000"));
  EXPECT_THAT(FaultOf(std::string(kMaxAccessFileBytes, '[')), HasSubstr("no JSON"));
  // Takes minutes if each object costs a look at all before it.
  std::string empty = "{'principals': [";
  while (empty.size() < kMaxAccessFileBytes - 10) empty += "{},";
  EXPECT_THAT(FaultOf(empty + "{}]}"), HasSubstr("10,000"));
}

TEST(AccessTokenTest, TokensAreLongAndDifferent) {
  std::set<std::string> tokens;
  for (int i = 0; i < 100; ++i) tokens.insert(NewToken());
  EXPECT_EQ(tokens.size(), 100u);
  EXPECT_TRUE(absl::StartsWith(*tokens.begin(), "trt_"));
  EXPECT_EQ(tokens.begin()->size(), 4u + 43u);
  for (const std::string& token : tokens) EXPECT_TRUE(HasTokenForm(token));
  EXPECT_EQ(HexOf(DigestOfToken("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
      << "FIPS 180-2";
}

}  // namespace
}  // namespace tranche
