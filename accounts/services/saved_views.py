"""Views of lists that members keep."""

from typing import Any

from django.utils.translation import gettext as _

from accounts import queries
from accounts.models import VIEW_NAME_LENGTH, VIEW_QUERY_LENGTH, Client, SavedView
from crm.common.errors import InvalidInput

MOST_VIEWS = 50


def save_view(*, client: Client, owner: Any, page: str, name: str, query: str, shared: bool) -> SavedView:
    """Keep `query` under `name`; the owner's view of that name for the same list takes the new one.

    Raises: InvalidInput (`name`: none, too long, or the owner has MOST_VIEWS; `query`: no filter, or too long).
    """
    name = " ".join(name.replace("\x00", "").split())
    plain = queries.view_query(query)
    if not name or len(name) > VIEW_NAME_LENGTH:
        raise InvalidInput({"name": [_("Give the view a name of at most {n} characters.").format(n=VIEW_NAME_LENGTH)]})
    if not plain or len(plain) > VIEW_QUERY_LENGTH:
        raise InvalidInput({"query": [_("Filter the list first: a view keeps the filters.")]})
    own = SavedView.objects.for_client(client).filter(owner=owner, page=page)
    view = own.filter(name__iexact=name).first() or SavedView(client=client, owner=owner, page=page)
    if view.pk is None and own.count() >= MOST_VIEWS:
        raise InvalidInput({"name": [_("At most {n} views: delete one first.").format(n=MOST_VIEWS)]})
    view.name, view.query, view.shared = name, plain, shared
    view.save()
    return view


def delete_view(*, view: SavedView) -> None:
    view.delete()
