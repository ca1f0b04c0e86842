"""The source checks find the faults that they look for, and only those."""

import unittest

import lib_path  # noqa: F401
import dependency_direction
import fakes
import function_length
import rooms
import sql_in_sql_files


def function(lines, head="void F() {"):
    return "\n".join([head] + ["  G();"] * (lines - 2) + ["}"]) + "\n"


class FunctionLength(unittest.TestCase):
    def lengths(self, text):
        return [last - first + 1 for first, last, _ in function_length.functions(text)]

    def test_refuses_71_lines_and_accepts_70(self):
        self.assertEqual(function_length.too_long(function(70)), [])
        self.assertEqual(len(function_length.too_long(function(71))), 1)

    def test_counts_the_signature(self):
        self.assertEqual(self.lengths("int F(int a,\n      int b) {\n  return a;\n}\n"), [4])

    def test_finds_functions_inside_namespaces_and_classes(self):
        text = "namespace a {\ntemplate <typename T>\nclass B : public C {\n" + function(3) + function(4) + "};\n}\n"
        self.assertEqual(self.lengths(text), [3, 4])

    def test_a_lambda_belongs_to_its_function(self):
        self.assertEqual(self.lengths("void F() {\n  auto g = [](int x) {\n    H(x);\n  };\n}\n"), [5])

    def test_a_constructor_with_braced_members_is_one_function(self):
        self.assertEqual(self.lengths("A::A(int x)\n    : a_{x},\n      b_(x),\n      c_{1, 2} {\n  F();\n}\n"), [6])

    def test_braces_in_comments_strings_and_characters_do_not_count(self):
        text = 'void F() {\n  // }\n  G("}", \'}\', R"(}\n})", 1\'000);\n  /* } */\n}\nvoid H() {\n}\n'
        self.assertEqual(self.lengths(text), [6, 2])

    def test_data_is_no_function(self):
        self.assertEqual(self.lengths("const int k[] = {\n  F(1),\n  2,\n};\nstruct A {\n  int x{3};\n};\n"), [])

    def test_an_initializer_list_belongs_to_the_constructor(self):
        members = "      a_(x),\n      b_([this] {\n        F();\n      }),\n      c_{.d = [] { G(); }, .e = E{1}},\n"
        for end, lines in [("      f_(F(x)) {\n  H();\n}\n", 10), ("      f_{} {}\n", 8), ("      f_() {\n}\n", 9)]:
            self.assertEqual(self.lengths("A::A(int x)\n    : B<int>(x),\n" + members + end), [lines], end)

    def test_what_follows_a_long_initializer_list_is_a_function_of_its_own(self):
        lists = "A::A()\n    : a_([] {\n        F();\n      }) {}\n\n" + "A::~A() {\n  F();\n}\n"
        self.assertEqual(self.lengths(lists), [4, 3])

    def test_a_long_initializer_list_is_refused(self):
        text = "A::A()\n    : a_(1),\n" + "      b_([] {}),\n" * 67 + "      c_{2} {}\n"
        self.assertEqual(len(function_length.too_long(text)), 0)
        self.assertEqual(len(function_length.too_long(text.replace("a_(1),", "a_(1),\n      d_(2),"))), 1)

    def test_an_access_specifier_is_no_part_of_a_function(self):
        self.assertEqual(self.lengths("class A {\n public:\n\n  A() : b_(1) {\n    F();\n  }\n};\n"), [3])

    def test_a_lambda_outside_of_functions_is_a_function(self):
        for text in [
            "const auto kF = [](int x) -> int {\n  return x;\n};\n",
            "const auto kF = [] {\n  G();\n};\n",
            "const bool kDone = Register([](const T& x) {\n  G(x);\n});\n",
            'const Entry kTable[] = {\n  {"a", 1, [](T x) {\n    G(x);\n  }},\n};\n',
        ]:
            self.assertEqual(self.lengths(text), [3], text)
        self.assertEqual(self.lengths("TABLE(a, [](int x) {\n  G();\n}, [] {\n}\n);\nvoid F() {\n}\n"), [3, 2, 2])

    def test_a_test_body_is_a_function(self):
        self.assertEqual(self.lengths("TEST_F(A, B) {\n  C();\n}\n"), [3])


class DependencyDirection(unittest.TestCase):
    def violations(self, folder, include):
        return list(dependency_direction.violations(folder, f"\n#include {include}\n"))

    def test_allows_the_one_direction(self):
        for folder, include in [
            ("quota", '"storage/ledger/sku_ledger.h"'),
            ("server", '"quota/sale/seller.h"'),
            ("storage", '"storage/uuid.h"'),
            ("storage", '"storage/base/status_macros.h"'),
            ("client", '"storage/base/status_macros.h"'),
            ("quota", '"tranche/internal/v1/coordination.pb.h"'),
            ("server", "<grpcpp/grpcpp.h>"),
            ("client", '"tranche/v1/admin_service.grpc.pb.h"'),
        ]:
            self.assertEqual(self.violations(folder, include), [], (folder, include))

    def test_refuses_every_other(self):
        for folder, include in [
            ("storage", '"quota/sale/seller.h"'),
            ("quota", '"server/errors.h"'),
            ("client", '"storage/uuid.h"'),
            ("client", '"server/errors.h"'),
            ("server", '"client/internal/stub.h"'),
            ("server", '"tests/support/free_port.h"'),
            ("quota", "<grpcpp/grpcpp.h>"),
            ("storage", '"google/rpc/status.pb.h"'),
            ("quota", '"tranche/v1/admin_service.pb.h"'),
        ]:
            self.assertEqual(self.violations(folder, include), [(2, include.strip('<>"'))], (folder, include))


class Rooms(unittest.TestCase):
    def complaints(self, path, include):
        return list(rooms.violations(path, f"\n#include {include}\n"))

    def test_a_room_is_a_folder_or_files_beside_the_folders(self):
        for path, room in [
            ("storage/ledger/sku_ledger.h", ("storage", "ledger")),
            ("storage/uuid.h", ("storage", "(root)")),
            ("storage/books.h", ("storage", "(books)")),
            ("server/balancer_main.cc", ("server", "(main)")),
            ("server/main.cc", ("server", "(main)")),
            ("server/errors.h", ("server", "(root)")),
            ("client/include/tranche/client.h", ("client", "include")),
            ("tranche/client.h", ("client", "include")),
            ("tranche/v1/outbox_sink.pb.h", None),
            ("tests/support/claims.h", None),
        ]:
            self.assertEqual(rooms.room_of(path), room, path)

    def test_no_table_has_a_circle(self):
        for top, table in rooms.ROOMS.items():
            self.assertIsNone(rooms.circle(table), top)

    def test_finds_circles(self):
        self.assertEqual(rooms.circle({"a": ("b",), "b": ("c",), "c": ("b",)}), ["b", "c", "b"])
        self.assertIsNone(rooms.circle({"a": ("b", "c"), "b": ("c",), "c": ()}))

    def test_every_room_in_the_tables_is_one(self):
        for top, table in rooms.ROOMS.items():
            for room, used in table.items():
                self.assertLessEqual(set(used), set(table), (top, room))
        for room, users in rooms.BEHIND_AN_INTERFACE.items():
            for top, name in (room, *users):
                self.assertIn(name, rooms.ROOMS[top])

    def test_allows_what_the_tables_say(self):
        for path, include in [
            ("storage/shards/shard_router.h", '"storage/books.h"'),
            ("storage/shards/shard_router.cc", '"storage/shards/shard_router.h"'),
            ("quota/node/drain.cc", '"quota/coordination/announcer.h"'),
            ("quota/sale/seller.cc", '"storage/pipeline/commit_pipeline.h"'),
            ("server/main.cc", '"server/node/front_node.h"'),
            ("server/node/front_node.cc", '"storage/postgres/postgres_ledger.h"'),
            ("client/load/generator.cc", '"tranche/client.h"'),
            ("client/load/main.cc", '"storage/base/status_macros.h"'),
            ("client/load/generator.cc", '"tranche/v1/admin_service.pb.h"'),
            ("server/rpc/grpc_server.h", "<grpcpp/grpcpp.h>"),
            ("server/admission/front_door.h", '"quota/sale/sale_gate.h"'),
            ("server/admission/front_policy.cc", '"server/errors.h"'),
            ("server/handlers/enter_sale_handler.h", '"server/admission/front_door.h"'),
        ]:
            self.assertEqual(self.complaints(path, include), [], (path, include))

    def test_refuses_every_other_and_says_why(self):
        for path, include in [
            ("storage/ledger/sku_ledger.h", '"storage/books.h"'),
            ("storage/uuid.h", '"storage/ledger/sku_ledger.h"'),
            ("storage/pipeline/commit_lane.h", '"storage/shards/shard_set.h"'),
            ("storage/shards/shard_set.cc", '"storage/postgres/postgres_ledger.h"'),
            ("quota/coordination/announcer.h", '"quota/balancer/balancer.h"'),
            ("quota/node/node_agent.cc", '"quota/balancer/balancer.h"'),
            ("quota/balancer/balancer.cc", '"quota/zookeeper/zookeeper_coordination.h"'),
            ("server/rpc/open_calls.h", '"server/handlers/watch_hub.h"'),
            ("server/handlers/node_handler.h", '"server/node/front_node.h"'),
            ("server/errors.h", '"server/process/options.h"'),
            ("server/errors.cc", '"server/admission/front_door.h"'),
            ("server/admission/front_door.cc", '"server/handlers/field_checks.h"'),
            ("server/admission/front_door.h", '"server/node/front_node.h"'),
            ("server/services/admin_service.h", '"storage/postgres/connection_pool.h"'),
            ("quota/sale/seller.cc", '"storage/postgres/postgres_ledger.h"'),
            ("client/reconcile/totals.h", '"client/internal/convert.h"'),
            ("client/include/tranche/client.h", '"client/internal/stub.h"'),
            ("client/include/tranche/client.h", '"storage/base/status_macros.h"'),
        ]:
            found = self.complaints(path, include)
            self.assertEqual([line for line, _ in found], [2], (path, include))
            self.assertIn(f"must not include {include.strip(chr(34))}", found[0][1])

    def test_a_new_folder_must_be_in_the_table(self):
        found = self.complaints("quota/queue/intake.cc", '"quota/slices/slice_table.h"')
        self.assertEqual(found, [(1, "scripts/lib/rooms.py knows no room quota/queue")])


class Fakes(unittest.TestCase):
    def test_only_a_fake_may_include_one(self):
        text = '#include "storage/clock.h"\n#include "storage/fake/fake_ledger.h"\n'
        self.assertEqual([line for line, _ in fakes.includes("quota/sale/seller.cc", text)], [2])
        self.assertEqual([line for line, _ in fakes.includes("storage/postgres/call.h", text)], [2])
        self.assertEqual(list(fakes.includes("quota/fake/fake_coordination.cc", text)), [])

    def test_only_a_fake_may_be_made_of_one(self):
        for text, lines in [
            ("target_link_libraries(a PUBLIC b)\n", []),
            ("\ntarget_link_libraries(a\n  PUBLIC b tranche_quota_fake)\n", [2]),
            ("target_link_libraries(a $<BUILD_INTERFACE:b_fake>)", [1]),
            ("target_sources(a PRIVATE $<TARGET_OBJECTS:b_fake>)", [1]),
            ("add_library(a STATIC\n  b.cc\n  fake/c.cc)", [1]),
            ("add_executable(a ../storage/fake/c.cc)", [1]),
            ("add_library(a_fake STATIC fake/c.cc)\ntarget_link_libraries(a_fake PUBLIC b_fake)", []),
            ("# target_link_libraries(a b_fake)\ntarget_link_libraries(a not_faked)", []),
        ]:
            self.assertEqual([line for line, _ in fakes.links(text)], lines, text)


class SqlInSqlFiles(unittest.TestCase):
    def test_finds_statements(self):
        for sql in ["SELECT a FROM b", "insert INTO x".replace("insert", "INSERT"), "DELETE FROM x", "DROP TABLE x"]:
            self.assertEqual(len(list(sql_in_sql_files.statements(f'F("{sql}");'))), 1, sql)

    def test_leaves_calls_comments_and_prose_alone(self):
        for text in ['F("SELECT * FROM tranche.");', '// "DELETE FROM x"', 'F("please select one from the list");']:
            self.assertEqual(list(sql_in_sql_files.statements(text)), [], text)


if __name__ == "__main__":
    unittest.main()
