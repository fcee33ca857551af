"""What the processes of an installation agree on among themselves. Everything else belongs to an app."""

from django.db import models


class Lease(models.Model):
    """A duty that one process at a time has, such as the schedule. owner: `host:pid:random`; held until `until`, by
    the database's clock, unless it is renewed. See crm/leases.py.
    """

    name = models.CharField(max_length=40, primary_key=True)
    owner = models.CharField(max_length=100)
    until = models.DateTimeField()

    class Meta:
        verbose_name_plural = "how it runs"  # the back office shows the installation's figures there

    def __str__(self) -> str:
        return f"{self.name} of {self.owner}"
