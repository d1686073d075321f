"""nghttp2's h2load in the engine's place: HTTP/2, and HTTP/1.1 as a second opinion on our own engine.

``python -m loadgen.onhost.h2load`` speaks the engine's messages (bench/wire/engine.py) and drives one h2load
process with one thread. h2load sends, times and counts; the answers come line by line out of its log
(log.py) into the same slices and totals as the engine's (run.py), and what it says at its end is held
against them (summary.py). What h2load can't do, and so isn't known of a run by it:

- It looks at no body. An answer's status is held against the right one, and the sum of all bodies' bytes
  against that of as many right ones: ``Slice.bodies_checked`` is 0. In HTTP/1.1 it doesn't see the status of
  an answer without a reason phrase, which h11 writes: then the sum alone shows that they were right.
- It sends one request again and again: of a header that rotates, each load worker has one value.
- It doesn't tell of connections that it makes in place of others (``Slice.reconnects`` is 0). Those that are
  lost without a word it neither tells of nor makes anew: its sockets are counted, and the run fails.
- It doesn't tell of a request that isn't answered yet (``Slice.in_flight`` is empty): one that never is, is
  in no latency.
- It keeps no rate over all connections together, so an open load is refused; and it checks no certificate.
- A failed stream has no kind: it counts as ``reset``.
"""
