"""The draw: requests and snapshots in, results and counts out.

Arrays number things in five ways, and each has one word everywhere in this package:

- `row`: a request among those that are drawn in one go; an `owner` is the row that a chunk or number belongs to.
- `index`: a chunk within its request.
- `column`: a category within the mixture.
- `position`: a chunk within the catalog's ids.
- `offset`: a chunk within its category, so that position = start of the category + offset.

Lengths are r rows, k columns, n chunks of all rows.
"""
