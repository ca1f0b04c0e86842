#include "server/process/shard_hosts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace tranche::server {
namespace {

using ::testing::HasSubstr;

ShardHosts Hosts(const std::string& listed, const std::string& home = "host=home") {
  absl::StatusOr<ShardHosts> hosts = ShardHosts::Of(listed, home);
  EXPECT_TRUE(hosts.ok()) << hosts.status();
  return *std::move(hosts);
}

TEST(ShardHostsTest, ByDefaultAreThoseOfHome) {
  const ShardHosts several = Hosts("", "postgresql://u@db1:5432,DB2.internal/shop?target_session_attrs=read-write");
  EXPECT_TRUE(several.Check("host=db1 port=05432 dbname=hot user=u").ok());
  EXPECT_TRUE(several.Check("postgresql://db2.internal,DB1/hot").ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(several.Check("host=db3")));
  EXPECT_TRUE(absl::IsFailedPrecondition(several.Check("host=db1,db3")));

  const ShardHosts address = Hosts("", "host=db.internal hostaddr=10.0.0.7");
  EXPECT_TRUE(address.Check("hostaddr=10.0.0.7").ok());
  EXPECT_TRUE(address.Check("host=db.internal hostaddr=10.0.0.7").ok());
  EXPECT_FALSE(address.Check("host=db.internal hostaddr=10.0.0.8").ok()) << "libpq connects to the address";
  EXPECT_FALSE(address.Check("host=other hostaddr=10.0.0.7").ok());

  const ShardHosts socket = Hosts("", "host=/var/run/postgresql/ dbname=shop");
  EXPECT_TRUE(socket.Check("host=/var/run/postgresql dbname=hot").ok());
  EXPECT_FALSE(socket.Check("host=/tmp dbname=hot").ok());
}

TEST(ShardHostsTest, ARefusalNamesTheHostAndTheFlag) {
  const absl::Status refused = Hosts("db1").Check("host=evil.example password=''");
  EXPECT_TRUE(absl::IsFailedPrecondition(refused));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("evil.example"));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("--shard-hosts"));
}

TEST(ShardHostsTest, AHostMustBeNamedUnlessHomeHasNone) {
  EXPECT_TRUE(absl::IsInvalidArgument(Hosts("db1").Check("dbname=hot")));
  EXPECT_TRUE(absl::IsInvalidArgument(Hosts("db1").Check("host=db1,, dbname=hot")));
  EXPECT_TRUE(Hosts("", "dbname=shop").Check("dbname=hot").ok());
}

TEST(ShardHostsTest, SpellingsOfOneHostAreOneHost) {
  const ShardHosts hosts = Hosts("DB1.Internal,[2001:DB8::1],10.0.0.7,::1");
  EXPECT_TRUE(hosts.Check("host=db1.internal.").ok());
  EXPECT_TRUE(hosts.Check("host=2001:0db8:0:0::0001 port=5432").ok());
  EXPECT_TRUE(hosts.Check("postgresql://[0:0:0:0:0:0:0:1]/hot").ok());
  EXPECT_TRUE(hosts.Check("hostaddr=10.0.0.7").ok());
  EXPECT_FALSE(hosts.Check("host=10.0.0.70").ok());
  EXPECT_FALSE(hosts.Check("host=db1").ok());
}

TEST(ShardHostsTest, APatternIsForNamesThatEndSo) {
  const ShardHosts hosts = Hosts("*.db.internal,*.7");
  EXPECT_TRUE(hosts.Check("host=a.DB.internal").ok());
  EXPECT_TRUE(hosts.Check("host=a.b.db.internal").ok());
  EXPECT_FALSE(hosts.Check("host=db.internal").ok());
  EXPECT_FALSE(hosts.Check("host=evildb.internal").ok());
  EXPECT_FALSE(hosts.Check("host=a.db.internal.evil.example").ok());
  EXPECT_FALSE(hosts.Check("host=10.0.0.7").ok()) << "an address has no suffix";
  EXPECT_FALSE(hosts.Check("host=/tmp/a.db.internal").ok());
  EXPECT_FALSE(hosts.Check("host=@evil.db.internal").ok()) << "a socket of this machine that anybody can open";
}

TEST(ShardHostsTest, OnlyHarmlessKeywords) {
  const ShardHosts hosts = Hosts("db1");
  EXPECT_TRUE(hosts
                  .Check("host=db1 port=5432 dbname=hot user=u sslmode=verify-full sslrootcert=/etc/ca.pem "
                         "channel_binding=require application_name=x "
                         "target_session_attrs=read-write")
                  .ok());
  for (const char* const dsn :
       {"host=db1 service=other", "host=db1 passfile=/etc/shadow", "host=db1 options='-c search_path=evil'",
        "host=db1 sslkey=/etc/key", "host=db1 sslcert=/etc/cert", "host=db1 krbsrvname=x", "host=db1 replication=true",
        "host=db1 connect_timeout=86400", "host=db1 tcp_user_timeout=0", "host=db1 keepalives=0"}) {
    const absl::Status refused = hosts.Check(dsn);
    EXPECT_TRUE(absl::IsInvalidArgument(refused)) << dsn << ": " << refused;
  }
}

TEST(ShardHostsTest, AHostIsAllowedAtItsPortsOnly) {
  const ShardHosts home = Hosts("", "host=db1,db2 port=6432,6433");
  EXPECT_TRUE(home.Check("host=db2 port=6433").ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(home.Check("host=db1 port=6433")));
  EXPECT_TRUE(absl::IsFailedPrecondition(home.Check("host=db1")));

  const ShardHosts listed = Hosts("db1:6432,db2,[2001:db8::1]:6432,*.db.internal:6432,/run/pg");
  EXPECT_TRUE(listed.Check("host=db1,db2 port=6432,5432").ok());
  EXPECT_TRUE(listed.Check("host=db2").ok());
  EXPECT_TRUE(listed.Check("host=2001:db8::1 port=6432").ok());
  EXPECT_TRUE(listed.Check("host=a.db.internal port=6432").ok());
  EXPECT_TRUE(listed.Check("host=/run/pg port=1234").ok());
  for (const char* const dsn : {"host=db1", "host=db1,db2 port=6432", "host=db2 port=6432", "host=2001:db8::1",
                                "host=a.db.internal port=5433"}) {
    EXPECT_TRUE(absl::IsFailedPrecondition(listed.Check(dsn))) << dsn;
  }
}

TEST(ShardHostsTest, TheServerIsCheckedAsWellAsHome) {
  const ShardHosts strict = Hosts("db1", "host=home sslmode=verify-full channel_binding=require");
  EXPECT_TRUE(strict.Check("host=db1 sslmode=verify-full channel_binding=require").ok());
  for (const char* const dsn :
       {"host=db1", "host=db1 sslmode=disable channel_binding=require",
        "host=db1 sslmode=verify-ca channel_binding=require", "host=db1 sslmode=verify-full channel_binding=prefer",
        "host=db1 sslmode=verify-full channel_binding=require sslmode=allow"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(strict.Check(dsn))) << dsn;
  }
  EXPECT_THAT(std::string(strict.Check("host=db1").message()), HasSubstr("sslmode=verify-full"));

  const ShardHosts lenient = Hosts("db1", "host=home");
  EXPECT_TRUE(lenient.Check("host=db1").ok());
  EXPECT_TRUE(lenient.Check("host=db1 sslmode=verify-full").ok());
  EXPECT_FALSE(lenient.Check("host=db1 sslmode=disable").ok());
}

TEST(ShardHostsTest, AListIsHostsWithOrWithoutPorts) {
  for (const char* const listed : {",", "db1,", "db1, db2", "*.", "*", "a*.b", "db1;db2", "host=db1", "db1:", "db1:0",
                                   "db1:65536", ":5432", "db1:5432;db2"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ShardHosts::Of(listed, "").status())) << listed;
  }
}

}  // namespace
}  // namespace tranche::server
