"""Names of countries as the Online Retail data set writes them, and their ISO 3166-1 codes."""

# User-assigned in ISO 3166-1, and in Unicode's CLDR the code of an unknown region.
UNKNOWN = "ZZ"

_CODES = {
    "australia": "AU",
    "austria": "AT",
    "bahrain": "BH",
    "belgium": "BE",
    "bermuda": "BM",
    "brazil": "BR",
    "canada": "CA",
    "channel islands": "JE",  # Jersey is the largest; Guernsey (GG) is meant as well
    "cyprus": "CY",
    "czech republic": "CZ",
    "denmark": "DK",
    "eire": "IE",
    "european community": "EU",  # reserved in ISO 3166-1 for the European Union
    "finland": "FI",
    "france": "FR",
    "germany": "DE",
    "greece": "GR",
    "hong kong": "HK",
    "iceland": "IS",
    "israel": "IL",
    "italy": "IT",
    "japan": "JP",
    "korea": "KR",
    "lebanon": "LB",
    "lithuania": "LT",
    "malta": "MT",
    "morocco": "MA",
    "netherlands": "NL",
    "nigeria": "NG",
    "norway": "NO",
    "poland": "PL",
    "portugal": "PT",
    "rsa": "ZA",
    "saudi arabia": "SA",
    "singapore": "SG",
    "spain": "ES",
    "sweden": "SE",
    "switzerland": "CH",
    "thailand": "TH",
    "united arab emirates": "AE",
    "united kingdom": "GB",
    "usa": "US",
}


def code(name: str) -> str:
    """Give the code of a country, `UNKNOWN` if the name is not among ours."""
    return _CODES.get(name.casefold(), UNKNOWN)
