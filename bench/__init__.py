"""What a run costs, against what it cannot go below and against other tools: `make bench`, docs/performance.md.

- __main__.py: the command; brings hosts up, runs the races, writes results
- site.py: the hosts, the ways to reach them, and the same resources as an Ansible inventory
- profiles.py: settings of the hosts that race beside those with the defaults
- cold.py: a bare host, against a plain script that makes the same of it
- gateway.py: the first byte through the gateway, against stock LiteLLM; asking.py runs on the host, quick_server.py
  beside it
- racers.py: one command line a contender
- proxy.py: a TCP proxy that adds round-trip time and counts bytes and round trips
- measure.py: interleaved rounds
- report.py: the table and the picture
- stock.py: pyinfra without Signalbox's hooks
- ansible/: the playbook
"""
