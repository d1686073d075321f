"""WebSocket by the cases of the Autobahn test suite, which kosoku carries out.

The suite itself (autobahntestsuite) is of Python 2 alone; kosoku has its case files for Python 3, with a
runner of its own. judge.py says what Autobahn's verdicts amount to.
"""
