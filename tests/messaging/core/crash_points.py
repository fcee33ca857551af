"""The named points of crash_driver.py, and at which of their calls a test dies there."""

POINTS: dict[str, tuple[int, ...]] = {
    "inside expansion chunk": (1, 3),
    "after expansion chunk": (2,),
    "before expansion ends": (1,),
    "after claim": (1,),
    "after submitting": (1, 4),
    "after answer": (1, 3),
    "inside record": (2,),
    "inside refund": (1, 2),
    "after record": (2,),
}
