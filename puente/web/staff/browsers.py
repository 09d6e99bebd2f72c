"""Browsers: what a browser calls itself, as a person would: Firefox on Android.

a User-Agent → ua-parser's rules → the browser's name and what it runs on, each empty where the rules do not know it
"""

from collections.abc import Sequence

# What the rules add to tell one make of the same browser from another.
MAKES = {"Mobile", "iOS", "WebView", "UI/WKWebView"}
SYSTEMS = {"Mac OS X": "Mac", "iOS": "iPhone"}


def named(agents: Sequence[str]) -> list[tuple[str, str]]:
    """The browser and the system of each. The first call takes a quarter of a second: it is for a thread of its own."""
    # Six megabytes of rules, which nobody needs who does not look at where they are signed in.
    from ua_parser import parse_os, parse_user_agent

    found = []
    for agent in agents:
        browser, system = parse_user_agent(agent), parse_os(agent)
        found.append((_browser(browser.family if browser else ""), _system(system.family if system else "", agent)))
    return found


def _browser(family: str) -> str:
    return " ".join(word for word in family.split() if word not in MAKES)


def _system(family: str, agent: str) -> str:
    return "iPad" if "iPad" in agent else SYSTEMS.get(family, family)
