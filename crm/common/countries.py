"""Which money and which clock a country has: the defaults of a client that is opened there."""

from dataclasses import dataclass
from functools import cache
from zoneinfo import available_timezones

from django.utils.translation import gettext_lazy as _
from phonenumbers import SUPPORTED_REGIONS


@dataclass(frozen=True, slots=True)
class Country:
    currency: str
    time_zone: str


COUNTRIES = {
    "BI": Country("BIF", "Africa/Bujumbura"),
    "BJ": Country("XOF", "Africa/Porto-Novo"),
    "CD": Country("CDF", "Africa/Kinshasa"),
    "CI": Country("XOF", "Africa/Abidjan"),
    "CM": Country("XAF", "Africa/Douala"),
    "ET": Country("ETB", "Africa/Addis_Ababa"),
    "GH": Country("GHS", "Africa/Accra"),
    "KE": Country("KES", "Africa/Nairobi"),
    "MW": Country("MWK", "Africa/Blantyre"),
    "NG": Country("NGN", "Africa/Lagos"),
    "RW": Country("RWF", "Africa/Kigali"),
    "SN": Country("XOF", "Africa/Dakar"),
    "SO": Country("SOS", "Africa/Mogadishu"),
    "SS": Country("SSP", "Africa/Juba"),
    "TG": Country("XOF", "Africa/Lome"),
    "TZ": Country("TZS", "Africa/Dar_es_Salaam"),
    "UG": Country("UGX", "Africa/Kampala"),
    "ZA": Country("ZAR", "Africa/Johannesburg"),
    "ZM": Country("ZMW", "Africa/Lusaka"),
}

COUNTRY_NAMES = {
    "BI": _("Burundi"),
    "BJ": _("Benin"),
    "CD": _("Congo (DRC)"),
    "CI": _("Côte d’Ivoire"),
    "CM": _("Cameroon"),
    "ET": _("Ethiopia"),
    "GH": _("Ghana"),
    "KE": _("Kenya"),
    "MW": _("Malawi"),
    "NG": _("Nigeria"),
    "RW": _("Rwanda"),
    "SN": _("Senegal"),
    "SO": _("Somalia"),
    "SS": _("South Sudan"),
    "TG": _("Togo"),
    "TZ": _("Tanzania"),
    "UG": _("Uganda"),
    "ZA": _("South Africa"),
    "ZM": _("Zambia"),
}

# ISO 4217, the currencies in use.
CURRENCIES = frozenset(
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP "
    "CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF "
    "IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD "
    "MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB "
    "RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD "
    "UYU UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG".split()
)


def country_name(code: str) -> str:
    """`Kenya` of "KE" in the active language; the code itself where we have no name for it."""
    return str(COUNTRY_NAMES.get(code, code))


def is_country(code: str) -> bool:
    """Whether phone numbers of `code` (ISO 3166, upper case) can be read: a client elsewhere could send nothing."""
    return code in SUPPORTED_REGIONS


@cache
def time_zones() -> frozenset[str]:
    """Every time zone that this machine knows by name. The standard library reads 600 files to tell; once is enough."""
    return frozenset(available_timezones())
