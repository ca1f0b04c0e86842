-- The incarnations that have not been reclaimed, with the names of their nodes.
SELECT incarnation_id, node_name FROM tranche.incarnation WHERE reclaimed_at IS NULL ORDER BY incarnation_id
