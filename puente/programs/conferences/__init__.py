"""Conferences: a day on which families and teachers meet, with interpreters where they are needed.

    DAY.json → day.read (mistakes by their place) → keeping.keep (the tables, and who comes together: parties)
                                                    keeping.load → packing.pack → keeping.propose (the proposal)
    inviting.invite → offering.offer → a family's digit → answering → booking.take → offering.tell
                      (board: the day as it stands · bundles: what is free · saying: the sentences)

How this district books interpreters, in blocks of one language and with more time, is in FACTS ("How this district books
interpreters"). packing.py loads the optimiser, which takes a second: whoever packs imports it by itself.
"""
