"""Numbers that were counted up rather than collected: a sign of an invented or bought list."""

from array import array

_BUCKET = 1_000_000


class ConsecutiveNumbers:
    """Finds the longest run of numbers that follow one another without a gap, in whatever order they are added.

    Keeps four bytes a number: a million of them are 4 MB.
    """

    def __init__(self) -> None:
        self._buckets: dict[int, array[int]] = {}

    def add(self, phone: str | None) -> None:
        """phone: E.164, or None, which counts for nothing."""
        if phone:
            bucket, rest = divmod(int(phone[1:]), _BUCKET)
            kept = self._buckets.get(bucket)
            if kept is None:
                kept = self._buckets[bucket] = array("I")
            kept.append(rest)

    def longest(self) -> int:
        """How many numbers the longest run has; repeated numbers count once."""
        longest = length = 0
        before = -2
        for bucket in sorted(self._buckets):
            for rest in sorted(set(self._buckets[bucket])):
                number = bucket * _BUCKET + rest
                length = length + 1 if number == before + 1 else 1
                before = number
                longest = max(longest, length)
        return longest
