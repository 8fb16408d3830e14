"""Articles become categories, products of several variants and price lists, by stated rules."""

from datetime import date

from ops.local.assortment import Category, Product, assort
from ops.local.invoices import Article


def articles(*names: tuple[str, str]) -> list[Article]:
    return [Article(sku, name, 100, 1) for sku, name in names]


def test_category_is_the_last_noun_that_enough_products_share() -> None:
    mugs = [(f"1000{n}", f"{what} MUG") for n, what in enumerate("ABCD")]
    more = [("10004", "RED COFFEE MUGS BLUE"), ("POST", "POSTAGE"), ("M", "12 M")]

    made = assort(articles(*mugs, *more))

    assert made.categories == [Category("mug", "Mug", None), Category("other", "Other", None)]
    assert [product.category for product in made.products] == ["mug"] * 5 + ["other"] * 2


def test_word_before_the_noun_makes_a_category_below_it() -> None:
    bags = [(f"1000{n}", f"{n} LUNCH BAG") for n in range(5)]

    made = assort(articles(*bags, ("10009", "SHOPPING BAG")))

    assert made.categories == [
        Category("bag", "Bag", None),
        Category("lunch-bag", "Lunch Bag", "bag"),
    ]
    assert [p.category for p in made.products] == ["lunch-bag"] * 5 + ["bag"]


def test_codes_of_the_same_digits_and_like_names_are_variants_of_one_product() -> None:
    made = assort(
        articles(
            ("84997A", "GREEN 3 PIECE CUTLERY SET"),
            ("84997b", "BLUE 3 PIECE CUTLERY SET"),
            ("84029G", "KNITTED HOT WATER BOTTLE"),
            ("84029E", "RED WOOLLY HEART"),
        )
    )

    assert made.products[0] == Product(
        "3-piece-cutlery-set-84997",
        "3 PIECE CUTLERY SET",
        "other",
        {"84997A": "A", "84997b": "b"},
    )
    assert [product.slug for product in made.products[1:]] == [
        "knitted-hot-water-bottle-84029gx",
        "red-woolly-heart-84029ex",
    ]


def test_codes_that_differ_in_case_only_have_addresses_of_their_own() -> None:
    made = assort(articles(("gift_20", "Gift"), ("GIFT_20", "Gift")))

    assert len({product.slug for product in made.products}) == 2


def test_week_in_which_something_cost_other_than_mostly_is_a_price_list() -> None:
    monday, next_monday = date(2010, 12, 27), date(2011, 1, 3)
    lamp = Article("lamp", "Lamp", 100, 9, {monday: 90, next_monday: 100})
    vase = Article("vase", "Vase", 500, 9, {monday: 500})

    [found] = assort([lamp, vase]).price_lists

    assert (found.name, found.prices) == ("2010-w52", {"lamp": 90})
    assert found.since.isoformat() == "2010-12-27T00:00:00+00:00"
    assert found.until.isoformat() == "2011-01-03T00:00:00+00:00"
