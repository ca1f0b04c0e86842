"""What an access file and TLS cost: "sold out" answers of nodes that have them beside one that has neither."""

import json
import pathlib
import tempfile

import authority
import security as cluster_security
from benchmark_answers import compare, sold_out_node


def _access(folder):
    """An access file and its only principal's token file."""
    token = cluster_security.new_token()
    access_file, token_file = folder / "access.json", folder / "principal.token"
    cluster_security.write_secret(token_file, token)
    principal = {"name": "everybody", "roles": ["service", "operator"],
                 "tokens_sha256": [cluster_security.token_digest(token)]}
    access_file.write_text(json.dumps({"anonymous": [], "principals": [principal]}))
    access_file.chmod(0o644)
    return access_file, token_file


def security(options):
    with tempfile.TemporaryDirectory(prefix="tranche-benchmark-") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)  # PostgreSQL reads its key there as its own user
        access_file, token_file = _access(folder)
        secured = cluster_security.Security(folder / "security").make(authority.Authority(folder / "authority"))
        with (sold_out_node() as plain,
              sold_out_node(lambda role: ["--token-file", token_file], node_args=("--access-file", access_file)) as roles,
              sold_out_node(secured.client_flags, secured=secured) as tls):
            doors = {"with roles": roles, "with TLS and roles": tls, "with neither": plain}
            return compare(doors, "with neither", options.rounds)
