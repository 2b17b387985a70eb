"""Why a server's certificate was refused, in a sentence that says who must act."""

import ssl


def certificate_problem(error: BaseException) -> str | None:
    """Tell what is wrong with a server's certificate, where that is why a connection failed.

    Args:
        error: What a driver raised; the reason may stand among its causes.
    """
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = cause.__cause__ or cause.__context__
    if cause is None:
        return None
    accepted = "one that is valid now, for the host in the URL, from an authority that this machine or the URL names"
    return f"the server's certificate is refused: {cause.verify_message.rstrip('.')}; accepted: {accepted}"
