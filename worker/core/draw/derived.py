"""What draws compute from one catalog and keep for the next: mixtures, templates of results, presets, orders of passes.

A catalog never changes, so what is computed from it stays right. `Derived` is the catalog together with these values;
when another catalog comes into force, all of it goes.

1. Requests decide what is computed, so strangers do. Every table is bounded in entries, and in categories. At the bound
   all is dropped, and computed again on demand.
2. No value refers to its `Derived`. A reference cycle would keep a catalog, perhaps a gigabyte, until a full garbage
   collection. A worker runs those rarely.
3. Nothing is locked. One thread uses a `Derived`; draws in another thread have one of their own.
"""

from collections.abc import Hashable, Mapping
from functools import cached_property
from typing import NamedTuple, TypeVar

from worker.core.catalog import Catalog, View
from worker.core.catalog.durations import Milliseconds
from worker.core.catalog.rendering import CountsRenderer
from worker.core.draw.buckets import Buckets
from worker.core.draw.lengths import Lengths, milliseconds_of, order_by_length
from worker.core.draw.passes import KeptOrders
from worker.core.draw.single import Single
from worker.core.draw.sums import Sums
from worker.core.mixture import Mixture, make_mixture
from worker.core.weights.in_force import InForce, preset_name
from worker.core.weights.presets import BUILT_IN_PRESETS, built_in_preset, weights_name
from worker.core.weights.values import Weights
from worker.core.wire import Template, Terms, ok_template

MOST_KEPT = 8192
WIDEST_KEPT = 262_144  # categories of all that is kept together, a few hundred bytes each
_NAME_BYTES = 64  # of a category's name and number in a template

Key = TypeVar("Key")
Value = TypeVar("Value")


class Batch(NamedTuple):
    """How large the batches of some requests are.

    Attributes:
        size: Chunk ids of each; where they vary, their mean, roughly.
        varying: How they vary; None: all have `size`.
    """

    size: int
    varying: Buckets | Sums | None


class Prepared(NamedTuple):
    """What requests of the same terms are drawn from.

    Attributes:
        terms: What they ask for.
        dataset: Whose weights they are drawn under, see `worker.core.weights.in_force.InForce`.
        catalog: The READY chunks.
        mixture: The weights applied to those of the wanted split.
        template: What their results share.
        counts: Renders how many chunks of each category they got.
        batch: How many chunks they get.
        single: Draws for one of them that is alone in its batch and has no seed; None if they are not plain.
    """

    terms: Terms
    dataset: str | None
    catalog: Catalog
    mixture: Mixture
    template: Template
    counts: CountsRenderer
    batch: Batch
    single: Single | None


PreparedKey = tuple[Terms, str, str, str | None]
"""Terms, version and source of the weights, and whose they are. Not the weights' text: that may be a megabyte."""


class Derived:
    """One catalog, and the values that draws have computed from it.

    Attributes:
        catalog: The READY chunks.
        orders: Orders of passes.
    """

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.orders = KeptOrders()
        self._prepared: dict[PreparedKey, Prepared] = {}
        self._views: dict[str | None, View] = {None: catalog.view}
        self._mixtures: dict[tuple[str | None, str], Mixture | None] = {}
        self._templates: dict[tuple[tuple[str, ...], tuple[str, ...]], Template] = {}
        self._renderers: dict[tuple[str, ...], CountsRenderer] = {}
        self._presets: dict[str, InForce] = {}
        self._lengths: dict[str | None, Lengths] = {}
        self._batches: dict[Hashable, Batch] = {}
        self._width = 0

    def __repr__(self) -> str:
        """Show how much is kept."""
        results = f"{len(self._prepared)} prepared, {len(self._templates)} templates, {len(self._renderers)} renderers"
        weights = f"{len(self._mixtures)} mixtures, {len(self._batches)} budgets, {len(self._presets)} presets"
        bounded = f"{self._width} categories, {self.orders.chunks} ordered"
        return f"<Derived of {self.catalog.version}: {results}, {weights}, {bounded}>"

    @property
    def kept(self) -> int:
        """Return the number of values that are bounded together."""
        of_results = len(self._prepared) + len(self._templates) + len(self._renderers)
        return of_results + len(self._mixtures) + len(self._batches)

    @property
    def presets(self) -> Mapping[str, InForce]:
        """Return the built-in presets that were asked for, by weights name."""
        return self._presets

    def preset(self, preset: str) -> InForce:
        """Return the weights of a built-in preset for this catalog."""
        name = preset_name(preset)
        held = self._presets.get(name)
        if held is None:
            held = self._presets[name] = InForce(name, built_in_preset(preset, self.catalog.ready), ())
        return held

    def prepared(self, key: PreparedKey) -> Prepared | None:
        """Return what requests of some terms are drawn from, if it is known."""
        return self._prepared.get(key)

    def keep(self, key: PreparedKey, prepared: Prepared) -> None:
        """Keep what requests of some terms are drawn from."""
        self._keep(self._prepared, key, prepared, width=len(prepared.mixture.categories) if prepared.single else 1)

    def view(self, split: str | None) -> View:
        """Return the categories as requests of a split see them; all views together hold each part twice at most."""
        view = self._views.get(split)
        if view is None:
            view = self.catalog.view_of(split)
            if view.categories:
                self._views[split] = view
        return view

    def mixture(self, weights: Weights, split: str | None = None) -> Mixture | None:
        """Return weights applied to this catalog; None when no weighted category has a READY chunk of the split."""
        key = (split, weights.text)
        if key in self._mixtures:
            return self._mixtures[key]
        return self._keep(self._mixtures, key, make_mixture(weights, self.view(split)), width=len(weights.shares))

    @cached_property
    def milliseconds(self) -> Milliseconds | None:
        """Return how long each chunk lasts, uint32, by position; 0: not known. None: the worker holds no durations."""
        return milliseconds_of(self.catalog)

    def lengths(self, split: str | None, milliseconds: Milliseconds) -> Lengths:
        """Return the chunks of a split by duration, 8 bytes each.

        Args:
            split: A split that has chunks; None: as requests without one see them.
            milliseconds: How long each chunk lasts, by position.
        """
        if split not in self._lengths:
            self._lengths[split] = order_by_length(self.view(split), milliseconds)
        return self._lengths[split]

    def batch(self, key: Hashable) -> Batch | None:
        """Return how large the batches of a budget are, if that is known."""
        return self._batches.get(key)

    def keep_batch(self, key: Hashable, batch: Batch, *, width: int) -> Batch:
        """Keep how large the batches of a budget are, in so many buckets and categories."""
        return self._keep(self._batches, key, batch, width=width)

    def template(self, common: tuple[str, ...], slots: tuple[str, ...]) -> Template:
        """Return the template of results. One object serves all of them, as settling looks at each object once.

        Args:
            common: Fields that they share, see `worker.core.wire.encode_common`.
            slots: Fields that are each result's own, beside its ids and counts.
        """
        key = (slots, common)
        template = self._templates.get(key)
        if template is None:
            template = ok_template(common, slots)
            self._keep(self._templates, key, template, width=1 + sum(map(len, common)) // _NAME_BYTES)
        return template

    def counts_renderer(self, categories: tuple[str, ...]) -> CountsRenderer:
        """Return what renders counts of some categories; it is as large as they are many."""
        renderer = self._renderers.get(categories)
        if renderer is None:
            renderer = self._keep(self._renderers, categories, CountsRenderer(categories), width=len(categories))
        return renderer

    def _keep(self, table: dict[Key, Value], key: Key, value: Value, *, width: int) -> Value:
        """Keep a value; where that exceeds a bound, drop all others first.

        Args:
            table: Where to keep it.
            key: By which it is found.
            value: The value.
            width: Number of categories that it holds something of.
        """
        if self.kept >= MOST_KEPT or self._width + width > WIDEST_KEPT:
            self._prepared.clear()
            self._mixtures.clear()
            self._templates.clear()
            self._renderers.clear()
            self._batches.clear()
            self._width = 0
        table[key] = value
        self._width += width
        return value


def weights_of(terms: Terms, weights: Mapping[str | None, InForce], derived: Derived | None) -> InForce:
    """Find the weights that some terms are drawn under.

    Args:
        terms: What is asked for.
        weights: Weights name -> the weights in force, at least for `weights_name(terms)`.
        derived: The catalog; None while it is not known.
    """
    if terms.preset is None or terms.preset not in BUILT_IN_PRESETS:
        return weights[weights_name(terms)]
    if derived is not None:
        return derived.preset(terms.preset)
    return InForce(preset_name(terms.preset), built_in_preset(terms.preset, {}), ())
