"""Progress: what a teacher, or a gradebook, says of one child, so that the family can act on it.

    files.read (a CSV, or OneRoster's gradebook) → marks.take → drafts.write → (a teacher looks) → drafts.send
    rhythm     what is missing, once a week; and for each teacher, who has not heard from them

By standard and on the school's own scale, with the trend; no letters, and never beside another child (FACTS, trials 3, 4 and 8).
"""
