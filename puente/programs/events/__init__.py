"""Events: convenings, topical groups, webinars, courses, that families ask to come to by text or on a page.

files       EVENT.json, checked, with every mistake named by its place
keeping     the event in the tables; who is asked, and what the rule looks at
saying      what the hub says about an event, in the family's language
opening     the invitation
answering   an answer by text or on the page: come, the questions, take it back; whose turn it is then
lots        the draw and the waitlist, as a pure function; docs/events.md publishes it
drawing     the draw in the tables, told to everyone
exchange    the outcome as a file that anyone can recompute
reminding   before each session
attending   who came, figures by home language, certificates
calendars   the sessions as iCalendar
"""
