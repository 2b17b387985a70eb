"""`sample` has an option for each field of a request."""

from worker.cli.verbs.look import sample
from worker.models import SampleRequest

ITS_OWN = {"reply_to", "expires_at"}  # `sample` waits at a result stream of its own, for --timeout


def test_each_field_of_a_request_is_an_option() -> None:
    options = {option.name for option in sample.params}
    assert SampleRequest.model_fields.keys() - options == ITS_OWN
