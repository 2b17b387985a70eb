"""What `adjust history` does."""

from worker.cli.context import check_dataset
from worker.cli.weights.history import print_newest
from worker.core.adjust.driver import AUTHOR
from worker.core.weights.history import Change


def show_steps(dataset: str | None, count: int, *, as_json: bool) -> None:
    """Print the newest changes of weights that rules have made.

    Args:
        dataset: Of this dataset alone; None: of all.
        count: At most this many.
        as_json: Whether to print JSON.
    """
    check_dataset(dataset)

    def is_wanted(change: Change) -> bool:
        return change.who.startswith(AUTHOR) and dataset in {None, change.name}

    of = f" of dataset {dataset}" if dataset else ""
    print_newest(is_wanted, count, f"no step of a rule{of} is in the history", dataset, as_json=as_json)
