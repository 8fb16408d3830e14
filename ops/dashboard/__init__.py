'''The dashboard under /ops: pages of what is, live while somebody looks, that act through the API.

How to add a page
-----------------

1. Read in `db/`: one function per statement, each with a limit, all by index (a page answers within
   300 ms on a million orders). The transaction of a page is read-only and one snapshot.
2. Show in `ops/dashboard/<noun>.py`: a struct of what may be asked, and a coroutine that reads and
   gives what the template needs::

       class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
           """What the list is narrowed by; an empty field of a form counts as not given."""

           queue: Annotated[str, Meta(max_length=40)] | None = None


       async def show(tx: AsyncConnection, asked: Asked) -> Mapping[str, object]:
           return {"queues": await queues.page(tx)}


       PAGE = Page("/ops/queues", "Queues", "queues.html", show, Asked, nav="Queues")

   Parameters of the path (`/ops/orders/{order_id:uuid}`) are fields of the same struct.
3. A row for `GET /ops/queues` in `api/policy.py`, and the page in `ops/dashboard/pages.py`, in the
   order of the navigation. That is all: the route, the stream and the tests of all pages find it.
4. Draw in `templates/queues.html`, which extends `base.html`. What is live stands in a block whose
   name begins with `live_`, inside of an element with `data-live` and the rest of the name as its
   id, and uses nothing but what `show` gave and the macros of `parts.html`, as `parts`::

       {% extends "base.html" %}
       {% block content %}
       <h1>Queues</h1>
       <section id="depths" data-live>{% block live_depths %}…{% endblock %}</section>
       {% endblock %}

   Blocks are rendered again every two seconds while somebody watches, once for all watchers of
   the same role, and only those that changed are sent; `ops.js` changes in place what differs, so
   focus, scroll, open `<details>` and half-typed inputs stay. Give rows an `id` or a `data-key`
   where their order changes. Write moments as `{{ parts.time(at) }}`: their age is counted in the
   browser, and does not make a fragment differ.

Acting
------

Nothing is written here: a form names an operation of the API, and `ops.js` sends it with the
cookie and the CSRF token, so that rules, policies and audit are those of the API::

    <form data-api="PUT /v1/queues/{{ queue.name }}" data-done="Paused." data-confirm="Pause it?">
      <input type="hidden" name="paused" value="true" data-type="boolean">
      <input type="number" name="running_max" data-empty="null">
      <button>Pause</button>
    </form>

`name` is the field of the body; a number input is a number, a checkbox a boolean, `data-type`
(`integer`, `number`, `boolean`, `json`) says otherwise; `data-empty` is `omit` (default), `null`
or `keep`. `{sku}` in `data-api` is taken from the field of that name. `data-idempotent` sends an
Idempotency-Key, one per intent; `data-if-match` an ETag. `data-confirm` asks first. The answer,
or the problem's detail, is read out from a live region, and the page's fragments are fetched.
Show what somebody may do only: `{% if may("PUT /v1/queues/{queue}") %}` asks the policies.

No `style` attributes, no inline scripts, nothing from elsewhere: the CSP refuses them.
'''
