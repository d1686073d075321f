"""The commands behind `./invoke`: one file a command or a family, one row each in the table of tasks.py.

The way of a command through the other files::

    program      our program on Invoke: help, version, completion; else one command is read and run
      reading    the words of the command line, by option -> the command's frozen options
      answer     the command is run; an error becomes a line, and an exit code
    help         the texts of --help
    completion   what a shell completes, and the scripts for it
    values       what there is to choose from: servers, profiles, results, inventories, endpoints
"""
