"""Codes: every one that a problem may carry, with its status and its remedy."""

from collections.abc import Mapping

import msgspec


class Kind(msgspec.Struct, frozen=True):
    """What every problem of one code has in common."""

    status: int
    title: str
    remedy: str
    headers: Mapping[str, str] = msgspec.field(default_factory=dict[str, str])
    # One that is registered for all servers alike; else ours.
    type: str = ""


# Retry soon: an election or a restart of the database takes seconds.
_RETRY = {"Retry-After": "2"}

# Codes are a contract: add some, never rename or reuse one.
KINDS: Mapping[str, Kind] = {
    "invalid_request": Kind(
        400, "Invalid request", "Mend what `errors` names, then send it again."
    ),
    "invalid_cursor": Kind(
        400,
        "Invalid cursor",
        "Take `cursor` from a Link header unchanged, or leave it out for the first page.",
    ),
    "idempotency_key_missing": Kind(
        400,
        "Idempotency-Key missing",
        "Send the Idempotency-Key header: a fresh key per request, the same one for its retries.",
    ),
    "idempotency_key_invalid": Kind(
        400, "Idempotency-Key invalid", "Send 1 to 255 printable ASCII characters, e.g. a UUID."
    ),
    "card_number_refused": Kind(
        400,
        "Card number refused",
        "Send a token of the gateway for the card, and its number to nobody but the gateway.",
    ),
    "signature_invalid": Kind(
        400, "Signature invalid", "Sign the raw bytes with the secret of the endpoint, and now."
    ),
    "unauthenticated": Kind(
        401,
        "Not authenticated",
        "Send a valid token: `Authorization: Bearer <token>`.",
        {"WWW-Authenticate": "Bearer"},
    ),
    "login_refused": Kind(
        401,
        "Not logged in",
        "Check address and password, or have the password reset.",
        {"WWW-Authenticate": "Bearer"},
    ),
    "second_factor_required": Kind(
        401,
        "Second factor required",
        "Send `otp` from the authenticator, or one `recovery_code`, too.",
        {"WWW-Authenticate": "Bearer"},
    ),
    "forbidden": Kind(403, "Not allowed", "Ask for a credential that may do this."),
    "refund_above_limit": Kind(
        403, "Refund above the limit", "Ask for less, or have somebody of ops refund it."
    ),
    "not_found": Kind(404, "Not found", "Check the path and the id."),
    "method_not_allowed": Kind(405, "Method not allowed", "Use a method the Allow header names."),
    "conflict": Kind(409, "Changed meanwhile", "Read it again, then decide again."),
    "illegal_move": Kind(
        409, "Too late for that", "Read the order: its status says what is still possible."
    ),
    "gateway_ref_refused": Kind(
        409,
        "Reference of something else",
        "Name what the gateway's own books show for this attempt: GET /v1/orders/{id}/payments.",
    ),
    "stock_below_reserved": Kind(
        409,
        "Stock below what is reserved",
        "Set `on_hand` to at least what orders hold, or cancel some first.",
    ),
    "task_not_dead": Kind(
        409, "Task is not dead", "Read GET /v1/tasks: only dead tasks are replayed or discarded."
    ),
    "bulk_over": Kind(
        409,
        "Too late for that bulk",
        "Read GET /v1/tasks/bulks/{id}: its state says what can be done.",
    ),
    "payment_in_progress": Kind(
        409,
        "A payment is under way",
        "Wait until it is settled: GET /v1/orders/{id}/payments shows it.",
        {"Retry-After": "5"},
    ),
    "import_over": Kind(
        409, "Too late for the import", "GET /v1/imports/{id} says what became of it."
    ),
    "not_bought": Kind(
        403, "Not bought", "Review what you have bought, logged in as who bought it."
    ),
    "idempotency_in_progress": Kind(
        409,
        "First request still under way",
        "Wait, then repeat the same request.",
        {"Retry-After": "1"},
    ),
    "precondition_failed": Kind(
        412, "Precondition failed", "Read it again and send the new ETag in If-Match."
    ),
    "request_too_slow": Kind(408, "Too slow", "Send the request again, all of it at once."),
    "body_too_large": Kind(413, "Body too large", "Send less at a time."),
    "uri_too_long": Kind(414, "Address too long", "Shorten the path or the query."),
    "unsupported_media_type": Kind(
        415, "Unsupported media type", "Send `Content-Type: application/json`, encoded as UTF-8."
    ),
    "unsupported_content_encoding": Kind(
        415,
        "Unsupported content encoding",
        "Send the body as it is, without Content-Encoding.",
        {"Accept-Encoding": "identity"},
    ),
    "orders_under_way": Kind(
        409, "Orders are under way", "Cancel them, or wait until they have been delivered."
    ),
    "password_refused": Kind(
        422, "Password refused", "Take 15 characters or more that nobody else would."
    ),
    "code_refused": Kind(
        422, "Code refused", "Take the code of the newest mail, or ask for another one."
    ),
    "unknown_category": Kind(
        422, "Unknown category", "Name a category of GET /v1/categories, or none."
    ),
    "unknown_product": Kind(422, "Unknown product", "Put the product first, or name none."),
    "too_many_variants": Kind(
        422, "Too many variants", "Make another product, or take variants out of this one."
    ),
    "list_currency_fixed": Kind(
        409, "The list has prices", "Make another list, or delete its entries first."
    ),
    "unknown_sku": Kind(422, "Unknown SKU", "Order SKUs of the catalogue only."),
    "product_inactive": Kind(422, "Product not for sale", "Take the product out of the order."),
    "currency_mismatch": Kind(
        422, "Currencies differ", "Use the currency of the products, or of the order."
    ),
    "amount_not_available": Kind(
        422,
        "Amount not available",
        "Ask for at most what is left: GET /v1/orders/{id}/payments says how much that is.",
    ),
    "category_in_use": Kind(
        409, "Category in use", "Move or delete first what is in the category."
    ),
    "location_in_use": Kind(
        409, "Location in use", "Transfer first what lies there, or is to come there."
    ),
    "not_incoming": Kind(
        409, "Not to come", "Read GET /v1/stock/{sku}/incoming: it shows what is to come."
    ),
    "category_misplaced": Kind(422, "Category misplaced", "Choose another parent."),
    "unknown_discount_code": Kind(422, "Unknown code", "Check the code, or leave it out."),
    "discount_not_applicable": Kind(
        422, "Discount not for this order", "Change the order as `detail` says, or leave it out."
    ),
    "discount_used_up": Kind(409, "Discount used up", "Leave the code out."),
    "nothing_to_pay": Kind(422, "Nothing to pay", "Leave a discount out, or add goods."),
    "total_changed": Kind(
        409,
        "It costs something else now",
        "Show `quote` to the customer, then send its `total_minor` as `expected_total_minor`.",
    ),
    "discount_in_use": Kind(
        409, "Discount given more often", "Read the discount: `uses_max` is at least its `uses`."
    ),
    "discount_code_taken": Kind(409, "Code taken", "Choose another code."),
    "discount_misfit": Kind(422, "Discount makes no sense", "Change it as `detail` says."),
    "cart_empty": Kind(422, "Cart empty", "Put something into the cart first."),
    "cart_full": Kind(422, "Cart full", "Take something out of the cart first."),
    "cart_closed": Kind(409, "Cart closed", "Open another cart: POST /v1/carts."),
    "duplicate_sku": Kind(
        422, "SKU named twice", "Put each SKU into one line and add the quantities up."
    ),
    "total_too_large": Kind(422, "Total too large", "Split the order."),
    "idempotency_key_reused": Kind(
        422,
        "Idempotency-Key used for another request",
        "Use a fresh key for a request that differs.",
    ),
    "too_many_unpaid_orders": Kind(
        429,
        "Too many unpaid orders",
        "Pay or cancel some of the customer's orders first, or log in.",
    ),
    "quota_exceeded": Kind(
        429,
        "Quota exceeded",
        "Wait for Retry-After seconds; the RateLimit header says what is left.",
        type="https://iana.org/assignments/http-problem-types#quota-exceeded",
    ),
    "head_too_large": Kind(431, "Head too large", "Send fewer or shorter headers."),
    "client_closed_request": Kind(499, "Client went away", "Send the whole body."),
    "internal_error": Kind(
        500,
        "Internal error",
        "Try again with the same Idempotency-Key; if it stays, report the X-Request-Id.",
    ),
    "accounts_closed": Kind(
        503, "Accounts are closed", "Set TOKEN_KEYS and SECRET_KEYS.", {"Retry-After": "60"}
    ),
    "unavailable": Kind(
        503,
        "Unavailable",
        "Try again after Retry-After seconds, with the same Idempotency-Key: it then happens once.",
        _RETRY,
    ),
    "overloaded": Kind(
        503,
        "Too much to do",
        "Nothing was begun: try again after Retry-After seconds, later each time.",
        {"Retry-After": "1"},
    ),
    "timed_out": Kind(
        504,
        "Took too long",
        "It may have happened: repeat it with the same Idempotency-Key, or read what is there.",
        _RETRY,
    ),
}
