"""Steps between a right password and the first page: codes for those who registered, and nobody else."""

from allauth.account import stages
from allauth.core.exceptions import RateLimited
from allauth.core.ratelimit import respond_429
from django.http import HttpResponse

Step = tuple[HttpResponse | None, bool]
BY_EMAIL = "by_email"  # in a login's state: the person asked for the code by email instead


class PhoneVerificationStage(stages.PhoneVerificationStage):
    """A code to the phone, until one was typed once. Who was invited or opened by the operator needs none."""

    def handle(self) -> Step:
        user = self.login.user
        if (user and (user.is_confirmed or not user.phone)) or self.login.state.get(BY_EMAIL):
            return None, True
        try:
            return super().handle()
        except RateLimited:  # a code went out a moment ago; this attempt to sign in ends here
            return respond_429(self.request), False


class EmailVerificationStage(stages.EmailVerificationStage):
    """A code to the mailbox, where the phone had none."""

    def handle(self) -> Step:
        user = self.login.user
        if user and user.is_confirmed:
            return None, True
        try:
            return super().handle()
        except RateLimited:
            return respond_429(self.request), False
