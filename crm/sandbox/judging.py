"""What every carrier does with a message, whatever its protocol: refuse it, take it, plan its reports, spoil an answer.

Words are Africa's Talking's: refusals by its row codes, report words by its statuses and reasons. A vendor's module
translates them into its own.
"""

import random
from dataclasses import dataclass

from crm.sandbox import networks
from crm.sandbox.faults import Faults
from crm.sandbox.server import Answer
from crm.sandbox.world import World


@dataclass(frozen=True, slots=True)
class Word:
    """A report `delay` seconds from now. closes: the last one. silent: the state changes and nobody is told.

    forged: about a message that nobody sent.
    """

    status: str
    reason: str
    delay: float
    closes: bool = False
    silent: bool = False
    forged: bool = False


def refusal_of(world: World, username: str, sender: str, number: str, too_dear: bool) -> int:
    """The row code that refuses the number, 0 for none."""
    if not networks.NUMBER.fullmatch(number):
        return 403
    if networks.LANDLINE.fullmatch(number):
        return 404
    if (username, sender, number) in world.optouts:
        return 406
    return networks.REFUSING.get(number, 405 if too_dear else 0)


def plan_words(faults: Faults, number: str, early: bool) -> tuple[str, list[Word]]:
    """The final report to come, as the store keeps it ("" when none will), and all that is to be told."""
    if number == networks.SILENT:
        return "", [Word("Sent", "", 0, silent=True)]
    status, reason = networks.FAILING.get(number, ("Success", ""))
    if number == networks.UNKNOWN_WORD:
        status = "Teleported"
    elif number not in networks.FAILING and faults.happens("failed_deliveries"):
        status, reason = faults.failure()
    delay = 0.0 if early else faults.seconds("report_delay")
    if faults.happens("late_reports"):
        delay += faults.seconds("late_seconds")
    if faults.happens("missing_reports"):
        return "", [Word(status, reason, delay, silent=True)]

    plan = [Word(status, reason, delay, closes=True)]
    on_the_way = random.choice(("Sent", "Submitted", "Buffered"))
    if faults.happens("out_of_order_reports"):
        plan.append(Word(on_the_way, "", delay + 0.5))
    elif faults.happens("intermediate_reports") and not early:
        plan.append(Word(on_the_way, "", delay * 0.4))
    if faults.happens("duplicate_reports"):
        plan.append(Word(status, reason, delay + 0.1))
    if faults.happens("contradicting_reports"):
        opposite = ("Failed", "DeliveryFailure") if status == "Success" else ("Success", "")
        plan.append(Word(*opposite, delay + 0.2))
    if faults.happens("forged_reports"):
        plan.append(Word(status, reason, delay, forged=True))
    return f"{status}:{reason}".rstrip(":"), plan


def spoil(faults: Faults, reply: Answer) -> tuple[Answer, str]:
    """Spoil the answer to a request that was accepted, by the first dial that hits. Returns it and what was done."""
    if faults.happens("error_after"):
        return Answer(502, b"Bad Gateway", delay=reply.delay), "then 502"
    if faults.happens("hang_after"):
        return Answer(0, manner="hang", delay=faults.seconds("hang_seconds")), "then no answer"
    if faults.happens("reset_after"):
        return Answer(0, manner="reset", delay=reply.delay), "then reset"
    if faults.happens("garbage_after"):
        return Answer(201, b"<html>\xff\x00 it went thr", "text/html", delay=reply.delay), "then garbage"
    if faults.happens("truncate_after"):
        reply.manner = "truncate"
        return reply, "then half an answer"
    return reply, ""
