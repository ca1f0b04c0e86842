-- Groups that are not over, or were lately: the deadline, when it ended (''), both in Unix seconds, and whether members still hold units.
SELECT extract(epoch FROM g.deadline_at), coalesce(extract(epoch FROM g.finished_at)::text, ''), g.unsettled::integer
FROM tranche.group_buy g WHERE g.state = 'FORMING' OR g.unsettled OR g.finished_at > now() - interval '10 minutes'
