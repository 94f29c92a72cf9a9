"""A playbook of one play, for the tests of lists."""

PLAYBOOK = {
    "rest_days": 20,
    "plays": [
        {
            "action": "call",
            "arm": "call",
            "owner": "service",
            "channel": "phone",
            "deadline_days": 3,
            "cost": 6,
            "assumed_share": 0.5,
        }
    ],
}
