"""What is fast, how fast, and against what: each file is one benchmark of the pipe, and takes both sides of a ratio in one run.

    fan_out    one message becomes a row for each of 100,000 guardians           against the driver's own executemany
    dispatch   20,000 deliveries reach a carrier on loopback                     against a bare client, and Twilio's SDK in a loop
    workers    the same by one process and by two, and with 5,000,000 old rows   against one, and against none
    webhooks   300 status callbacks a second while a broadcast drains            against an empty route of the same server
    latency    one urgent message while 50,000 texts wait                        against an empty queue
    pacing     two processes on one line of 100 segments a second                against what was declared
    booking    260 families answer conference offers by text, 50 at a time       against a checker that shares no code

`make bench` runs them one after the other; each also runs by itself: `python -m benchmarks.fan_out --quick`. They need nothing but
this machine: SQLite, the PostgreSQL that the tests use, as it comes, and a carrier on loopback. What is measured runs in a fresh
process; the two sides take turns, A B A B, and a figure is the median of its turns.
"""
