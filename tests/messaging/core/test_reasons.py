"""What the product decided is kept in English and read in one's own language; what others said stays as it is."""

from django.utils.translation import override

from messaging import reasons
from messaging.sending.breaker import Breaker


def test_each_reason_of_the_product_is_found_again_and_translated():
    kept = reasons.MANY_FAILED % {"failed": 12, "total": 20, "problem": reasons.NO_CLEAR_ANSWERS}
    with override("fr"):
        assert reasons.in_words(kept) == (
            "12 des 20 dernières requêtes ont échoué : pas de réponse claire"  # the problem is the product's as well
        )
        assert reasons.in_words(reasons.WOKEN) == "Réveillé à la main"
        slow = Breaker(usual=0.2).slowness(hanging=30)
        assert reasons.in_words(slow) == "30 requêtes sont sans réponse depuis 10 s"
    assert reasons.in_words(kept) == kept


def test_the_words_of_a_provider_and_of_a_person_stay():
    for said in ("HTTP 500", "Connection refused", "slow, says Amina", ""):
        with override("sw"):
            assert reasons.in_words(said) == said
