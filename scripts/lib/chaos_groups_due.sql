-- Groups that a worker has to end, or to settle.
SELECT g.group_id FROM tranche.group_buy g WHERE (g.state = 'FORMING' AND g.deadline_at < now()) OR g.unsettled
