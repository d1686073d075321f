"""One benchmark from plan to report; the one room that knows every other.

The way through it, by file::

    prepare      what was asked for -> inventory and plan; no host is touched (--dry-run ends here)
    resume       new results, or earlier ones to go on with
    announce     what the terminal says before it begins
    benchmark    holds the hosts, takes every outcome, saves, finishes: the whole
      stage        hosts checked, provisioned (provisioning), parties started, answers compared
      schedule     the plan's runs in their order, each tried again once (attempt: a try, an outcome)
        measure      one run: begin, rest, drive the load, rest, stop and collect, assemble
          drive        the load, watched to the window's end
          parties/     server, database, agents, load: start once; begin, check, stop, collect in each run
    finish       summarised, written and rendered once; the error that the exit code comes from

Beside it, traffic has each endpoint's requests and answers.
"""
