ALTER ROLE tranche_node LOGIN;
