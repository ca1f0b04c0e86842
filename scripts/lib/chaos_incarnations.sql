-- The incarnations that have not been reclaimed, with their nodes' names.
SELECT incarnation_id, node_name FROM tranche.incarnation WHERE reclaimed_at IS NULL ORDER BY incarnation_id
