"""Why a server's certificate was refused, in a sentence that says who must act."""

import ssl


def certificate_problem(error: BaseException) -> str | None:
    """Return what is wrong with a server's certificate; None if the connection failed for another reason.

    Args:
        error: What a driver raised; its causes are searched too.
    """
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = cause.__cause__ or cause.__context__
    if cause is None:
        return None
    accepted = "one that is valid now, for the host in the URL, from an authority that this machine or the URL names"
    return f"the server's certificate is refused: {cause.verify_message.rstrip('.')}; accepted: {accepted}"
